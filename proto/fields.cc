#include "proto/fields.h"

#include <fmt/format.h>

#include <limits>

namespace leat::proto {

JsonValue FieldReader::find(const char* key) {
  const JsonValue value = document_ ? document_->root()[key] : JsonValue();
  if (value) ++found_;
  return value;
}

template <class Found, class Value>
void FieldReader::take(const char* key, const std::optional<Found>& found, Value& value) {
  if (found) {
    value = static_cast<Value>(*found);
  } else {
    refuse(key);
  }
}

void FieldReader::refuse(const char* key) {
  if (bad_.empty()) bad_ = key;
}

void FieldReader::operator()(const char* key, std::string& value) {
  take(key, find(key).as_text(), value);
}
void FieldReader::operator()(const char* key, bool& value) {
  take(key, find(key).as_bool(), value);
}
void FieldReader::operator()(const char* key, std::uint64_t& value) {
  take(key, find(key).as_number(), value);
}
void FieldReader::operator()(const char* key, std::uint32_t& value) {
  auto number = find(key).as_number();
  if (number > std::numeric_limits<std::uint32_t>::max()) number.reset();
  take(key, number, value);
}
void FieldReader::operator()(const char* key, std::int64_t& value) {
  take(key, find(key).as_signed(), value);
}
void FieldReader::operator()(const char* key, int& value) {
  auto number = find(key).as_signed();
  if (number > std::numeric_limits<int>::max() || number < std::numeric_limits<int>::min()) number.reset();
  take(key, number, value);
}
void FieldReader::operator()(const char* key, std::vector<std::string>& values) {
  const JsonValue list = find(key);
  std::optional<std::vector<std::string>> texts;
  if (list.is_array()) texts.emplace();
  for (std::size_t i = 0; i < list.size() && texts; ++i) {
    if (const auto text = list[i].as_text()) {
      texts->emplace_back(*text);
    } else {
      texts.reset();
    }
  }
  take(key, texts, values);
}
void FieldReader::operator()(const char* key, std::vector<std::uint64_t>& values) {
  const JsonValue list = find(key);
  std::optional<std::vector<std::uint64_t>> numbers;
  if (list.is_array()) numbers.emplace();
  for (std::size_t i = 0; i < list.size() && numbers; ++i) {
    if (const auto number = list[i].as_number()) {
      numbers->push_back(*number);
    } else {
      numbers.reset();
    }
  }
  take(key, numbers, values);
}

std::string FieldReader::problem() const {
  if (!document_) return "expected a JSON object";
  if (!bad_.empty()) return fmt::format("'{}' is missing or of another type", bad_);
  const std::size_t members = document_->root().members();
  return members == found_ ? "" : fmt::format("{} keys are expected, {} came", found_, members);
}

}  // namespace leat::proto
