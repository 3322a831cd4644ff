#include "proto/dead_letter.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proto/base/base64.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::proto {

namespace {

// "key", or for bytes that are no UTF-8 "key_base64".
template <class Out>
class LineWriter {
 public:
  explicit LineWriter(Out& out) : out_(out) {}

  void operator()(std::string_view key, std::string_view text) {
    begin(key);
    if (is_utf8(text)) {
      out_.append("\":");
      append_quoted(out_, text);
      return;
    }
    out_.append("_base64\":\"");
    // What is base64 of pieces is base64 of the whole if these are of whole threes.
    constexpr std::size_t kPiece = 3 * 1024;
    for (; !text.empty(); text.remove_prefix(std::min(text.size(), kPiece)))
      out_.append(to_base64(text.substr(0, kPiece)));
    out_.push_back('"');
  }
  void operator()(std::string_view key, std::uint64_t number) {
    begin(key);
    out_.append("\":");
    out_.append(fmt::format_int(number).c_str());
  }
  template <class Text>
  void one_of(std::string_view key, const std::optional<Text>& text, std::string_view other,
              std::uint64_t number) {
    if (text) {
      (*this)(key, *text);
    } else {
      (*this)(other, number);
    }
  }

 private:
  void begin(std::string_view key) {
    out_.append(first_ ? "{\"" : ",\"");
    out_.append(key);
    first_ = false;
  }

  Out& out_;
  bool first_ = true;
};

class LineReader {
 public:
  explicit LineReader(JsonValue object) : object_(object) {}

  void operator()(const std::string& key, std::string& into) { take(text_of(key), into); }
  void operator()(const std::string& key, std::uint64_t& into) { take(object_[key].as_number(), into); }
  void one_of(const std::string& key, std::optional<std::string>& text, const std::string& other,
              std::uint64_t& number) {
    text = text_of(key);
    if (!text) (*this)(other, number);
  }
  bool whole() const { return whole_; }

 private:
  std::optional<std::string> text_of(const std::string& key) const {
    if (const auto text = object_[key].as_text()) return std::string(*text);
    const auto encoded = object_[key + "_base64"].as_text();
    return encoded ? from_base64(*encoded) : std::nullopt;
  }
  template <class Value>
  void take(std::optional<Value> found, Value& into) {
    if (found) {
      into = *std::move(found);
    } else {
      whole_ = false;
    }
  }

  JsonValue object_;
  bool whole_ = true;
};

}  // namespace

template <class Out, class Text>
void append_line(Out& out, const DeadLetterOf<Text>& letter) {
  LineWriter<Out> writer(out);
  DeadLetterOf<Text>::fields(writer, letter);
  out.append("}\n");
}
template void append_line(Buffer& out, const DeadLetterView& letter);
template void append_line(std::string& out, const DeadLetter& letter);

std::optional<DeadLetter> parse_dead_letter(std::string_view line) {
  const auto document = parse_json_object(line);
  if (!document) return std::nullopt;
  LineReader reader(document->root());
  DeadLetter letter;
  DeadLetter::fields(reader, letter);
  return reader.whole() ? std::optional(std::move(letter)) : std::nullopt;
}

}  // namespace leat::proto
