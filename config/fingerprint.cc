// Everything that counts is put down as text with its length in front, so that no two pipelines have the same text, and the
// text is hashed. Where a key stands and how it is quoted is not part of a Pipeline's values, so layout does not count.
#include "config/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <iterator>
#include <string>
#include <string_view>

namespace leat::config {

namespace {

class Text {
 public:
  void put(std::string_view text) { fmt::format_to(std::back_inserter(out_), "{}:{}", text.size(), text); }
  void put(std::uint64_t number) { fmt::format_to(std::back_inserter(out_), "{};", number); }
  void put(const Pointer& pointer) { put(pointer.text()); }
  void put(const Literal& literal) {
    put(static_cast<std::uint64_t>(literal.type));
    put(std::uint64_t{literal.boolean ? 1U : 0U});
    put(literal.text);
  }
  void put(const Predicate& predicate) {
    put(static_cast<std::uint64_t>(predicate.op));
    put(predicate.field);
    put_all(predicate.values);
    put(predicate.text);
    put(predicate.length);
    put_all(predicate.children);
  }
  // Not the timeout: how long a step may take changes no record that it gets done.
  void put(const Step& step) {
    put(static_cast<std::uint64_t>(step.op));
    put_all(step.pointers);
    put_pairs(step.moves);
    put_pairs(step.values);
    put(step.from);
    put(step.to);
    put(step.length);
    put(step.pattern);
    put(step.with);
    put(static_cast<std::uint64_t>(step.algorithm));
    put_all(step.command);
    if (!step.environment.empty()) put_all(step.environment);  // none: as before there were any
  }
  void put(const EnvironmentVariable& variable) {
    put(variable.name);
    put(variable.value ? "=" + *variable.value : "");
  }
  template <class Items>
  void put_all(const Items& items) {
    put(std::uint64_t{items.size()});
    for (const auto& item : items) put(item);
  }
  template <class Pairs>
  void put_pairs(const Pairs& pairs) {
    put(std::uint64_t{pairs.size()});
    for (const auto& [first, second] : pairs) {
      put(first);
      put(second);
    }
  }
  std::uint64_t hash() const { return XXH3_64bits(out_.data(), out_.size()); }

 private:
  std::string out_;
};

}  // namespace

std::uint64_t fingerprint(const Pipeline& pipeline) {
  Text text;
  text.put_all(pipeline.filter.keep);
  text.put_all(pipeline.process.steps);
  text.put(pipeline.sink.path);
  text.put(static_cast<std::uint64_t>(pipeline.sink.compression));
  text.put(pipeline.sink.rotate.bytes);
  text.put(static_cast<std::uint64_t>(pipeline.sink.rotate.idle.count()));
  return text.hash();
}

}  // namespace leat::config
