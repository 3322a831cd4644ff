// One predicate on one field: compiled from the config, asked once per record.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "workers/filter/number.h"
#include "workers/filter/set.h"
#include "workers/stage/json/scan.h"

namespace re2 {
class RE2;
}

namespace leat::filter {

enum class Match : std::uint8_t { kNo, kYes, kOtherType };

// The decoded strings of the record at hand, each decoded once however many predicates ask for it.
class Texts {
 public:
  void make_room(std::size_t slots) {
    if (slots > entries_.size()) entries_.resize(slots);
  }
  void next_record() { ++record_; }  // what get() returned for the record before is void
  std::string_view get(std::size_t slot, std::string_view raw);

 private:
  struct Entry {
    std::uint64_t record = 0;
    std::string_view text;
    std::string scratch;
  };
  std::vector<Entry> entries_;
  std::uint64_t record_ = 1;
};

// The sets that leaves look into; one for each file, however many predicates name it.
class Sets {
 public:
  [[nodiscard]] Result<const Set*> load(const std::string& path);
  const Set* keep(Set set);
  std::size_t memory_bytes() const;

 private:
  struct Entry {
    std::string path;  // empty: from the config itself
    std::unique_ptr<Set> set;
  };
  std::vector<Entry> entries_;
};

class Leaf {
 public:
  // predicate: any operator but all, any, not. sets must outlive the leaf. Fails as Set::load does, and with
  // kFatal 78 on what the config parser should have refused.
  [[nodiscard]] static Result<Leaf> compile(const config::Predicate& predicate, json::Paths& paths,
                                            Sets& sets);
  Leaf(Leaf&&) noexcept;
  Leaf& operator=(Leaf&&) noexcept;
  ~Leaf();

  // value: the one in slot(), not kMissing.
  Match match(const json::Value& value, Texts& texts) const;
  std::size_t slot() const { return slot_; }
  bool negated() const { return negated_; }  // ne, not_in, not_in_file, missing: the opposite of match()
  bool about_presence() const { return kind_ == Kind::kPresent; }

 private:
  enum class Kind : std::uint8_t {
    kPresent,
    kConstant,
    kNumber,
    kText,
    kSet,
    kContains,
    kStartsWith,
    kMatches,
    kType,
    kInteger,
    kMinLength,
    kMaxLength,
  };
  Leaf();
  bool set_operator(config::Predicate::Op op);
  bool set_literal(const config::Literal& literal);
  bool set_members(const std::vector<config::Literal>& literals, Sets& sets);
  bool set_type(std::string_view name);
  bool set_pattern();
  bool accepts(std::strong_ordering order) const;
  Match match_set(const json::Value& value, Texts& texts) const;
  Match match_text(const json::Value& value, Texts& texts) const;

  Kind kind_ = Kind::kPresent;
  bool negated_ = false;
  std::uint8_t orders_ = 0;  // bits: which of less, equal, greater hold (kNumber, kText)
  std::uint16_t types_ = 0;  // a bit for each json::Type: which can match at all
  // a bit for each json::Type that matches whatever the value (kConstant, kSet, kType)
  std::uint16_t constants_ = 0;
  std::size_t slot_ = 0;
  std::uint64_t length_ = 0;
  // on the heap, as text_ and number_ point into it and leaves move
  std::unique_ptr<const std::string> owned_text_;
  std::string_view text_;
  Number number_;
  const Set* text_set_ = nullptr;
  const Set* number_set_ = nullptr;
  std::unique_ptr<re2::RE2> pattern_;
};

}  // namespace leat::filter
