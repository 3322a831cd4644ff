#include "proto/base/fields.h"

#include <fmt/format.h>

namespace leat {

namespace {

template <class Found, class Value>
bool take(const std::optional<Found>& found, Value& value) {
  if (found) value = *found;
  return found.has_value();
}

}  // namespace

bool FieldReader::read(JsonValue from, std::string& value) {
  return take(from.as_text(), value);
}
bool FieldReader::read(JsonValue from, bool& value) {
  return take(from.as_bool(), value);
}
bool FieldReader::read(JsonValue from, double& value) {
  return take(from.as_real(), value);
}
bool FieldReader::read(JsonValue from, std::uint64_t& value) {
  return take(from.as_number(), value);
}
bool FieldReader::read(JsonValue from, std::int64_t& value) {
  return take(from.as_signed(), value);
}

std::string FieldReader::problem() const {
  if (!object_.is_object()) return "expected a JSON object";
  if (!bad_.empty()) return fmt::format("'{}' is missing or of another type", bad_);
  const std::size_t members = object_.members();
  return members == found_ ? "" : fmt::format("{} keys are expected, {} came", found_, members);
}

}  // namespace leat
