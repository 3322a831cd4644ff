// A JSON object that crosses a process boundary, described once for both directions: its struct has
//
//   template <class Archive, class Self> static void fields(Archive& archive, Self& self) {
//     archive("path", self.path, "size", self.size);
//   }
//
// and is written with encode_fields() and read with decode_fields(). All keys are there, in both directions: one that is
// missing, unknown, twice there, of another type or out of its member's range is an error. Texts are bytes: paths need not be
// UTF-8. A member may be
//
//   a text, a bool, a number; milliseconds: a number
//   an enumeration, which goes by name: names_of(VALUE) in its namespace gives an array of pairs of value and name
//   such a struct; a pair, which is one of "first" and "second"
//   a class that is a text with rules: text() gives it, T::parse(TEXT) a Result<T>
//   a std::vector of these, or a std::optional: null
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "proto/base/json.h"
#include "proto/base/result.h"

namespace leat {

namespace field {
template <class T, template <class...> class Template>
inline constexpr bool is = false;
template <template <class...> class Template, class... Ts>
inline constexpr bool is<Template<Ts...>, Template> = true;

template <class T>
concept Spelled = requires(const T& value) {
  { T::parse(value.text()) } -> std::same_as<Result<T>>;
};

template <class Archive, class T>
void each(Archive& archive, T& value) {
  if constexpr (is<std::remove_const_t<T>, std::pair>) {
    archive("first", value.first, "second", value.second);
  } else {
    T::fields(archive, value);
  }
}
}  // namespace field

class FieldWriter {
 public:
  explicit FieldWriter(JsonWriter& json) : json_(json) {}

  template <class Value, class... More>
  void operator()(const char* key, const Value& value, const More&... more) {
    json_.key(key);
    item(value);
    if constexpr (sizeof...(more) > 0) (*this)(more...);
  }

 private:
  template <class Value>
  void item(const Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      for (const auto& [known, name] : names_of(value)) {
        if (known == value) json_.item(name);
      }
    } else if constexpr (std::is_same_v<Value, std::chrono::milliseconds>) {
      json_.item(value.count());
    } else if constexpr (field::is<Value, std::optional>) {
      value ? item(*value) : json_.null();
    } else if constexpr (field::is<Value, std::vector>) {
      json_.array([&] {
        for (const auto& each : value) item(each);
      });
    } else if constexpr (field::Spelled<Value>) {
      json_.item(value.text());
    } else if constexpr (std::is_convertible_v<Value, std::string_view> || std::is_arithmetic_v<Value>) {
      json_.item(value);
    } else {
      json_.object([&] { field::each(*this, value); });
    }
  }

  JsonWriter& json_;
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view json)
      : document_(parse_json_object(json)), object_(document_ ? document_->root() : JsonValue()) {}

  template <class Value, class... More>
  void operator()(const char* key, Value& value, More&... more) {
    const JsonValue found = object_[key];
    if (found) ++found_;
    if (!read(found, value) && bad_.empty()) bad_ = key + below_;
    if constexpr (sizeof...(more) > 0) (*this)(more...);
  }
  bool is_object() const { return document_.has_value(); }
  // The first that is missing or of another type, as in "keep[2].op"; empty: none.
  const std::string& bad_key() const { return bad_; }
  // What is wrong with it, after all fields were read; empty: nothing.
  std::string problem() const;

 private:
  static constexpr int kMaxDepth = 200;  // of structs in each other

  FieldReader(JsonValue object, int depth) : object_(object), depth_(depth) {}
  static bool read(JsonValue from, std::string& value);
  static bool read(JsonValue from, bool& value);
  static bool read(JsonValue from, double& value);
  static bool read(JsonValue from, std::uint64_t& value);
  static bool read(JsonValue from, std::int64_t& value);
  template <class Value>
  bool read(JsonValue from, Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      for (const auto& [known, name] : names_of(value)) {
        if (from.as_text() != name) continue;
        value = known;
        return true;
      }
      return false;
    } else if constexpr (std::is_integral_v<Value>) {
      std::conditional_t<std::is_signed_v<Value>, std::int64_t, std::uint64_t> number = 0;
      if (!read(from, number) || !std::in_range<Value>(number)) return false;
      value = static_cast<Value>(number);
      return true;
    } else if constexpr (std::is_same_v<Value, std::chrono::milliseconds>) {
      std::int64_t count = 0;
      const bool is_number = read(from, count);
      value = Value(count);
      return is_number;
    } else if constexpr (field::is<Value, std::optional>) {
      value.reset();
      if (from.is_null()) return true;
      // Of a struct in a struct clang 14 thinks that it cannot be made from nothing in place.
      return read(from, value.emplace(typename Value::value_type{}));
    } else if constexpr (field::is<Value, std::vector>) {
      value.clear();
      for (std::size_t i = 0; i < from.size(); ++i) {
        if (read(from[i], value.emplace_back())) continue;
        below_ = "[" + std::to_string(i) + "]" + below_;
        return false;
      }
      return from.is_array();
    } else if constexpr (field::Spelled<Value>) {
      std::string text;
      if (!read(from, text)) return false;
      auto parsed = Value::parse(text);
      if (parsed) value = *std::move(parsed);
      return parsed.has_value();
    } else {
      if (!from.is_object() || depth_ == kMaxDepth) return false;
      FieldReader inner(from, depth_ + 1);
      field::each(inner, value);
      if (!inner.bad_.empty()) below_ = "." + inner.bad_;
      return inner.problem().empty();
    }
  }

  std::optional<JsonDocument> document_;
  JsonValue object_;
  int depth_ = 0;
  std::size_t found_ = 0;
  std::string bad_;
  std::string below_;  // where in the value that could not be read
};

// Into an object that is open.
template <class T>
void put_fields(JsonWriter& json, const T& value) {
  FieldWriter writer(json);
  T::fields(writer, value);
}

template <class T>
std::string encode_fields(const T& value, JsonFor reader = JsonFor::kLeat) {
  JsonWriter json(reader);
  json.object([&] { put_fields(json, value); });
  return json.text();
}

// kReject; what: names it in the text.
template <class T>
[[nodiscard]] Result<T> decode_fields(std::string_view json, std::string_view what) {
  FieldReader reader(json);
  T value;
  T::fields(reader, value);
  if (std::string problem = reader.problem(); !problem.empty()) {
    return fail(Fault::kReject, std::string(what) + ": " + problem);
  }
  return value;
}

}  // namespace leat
