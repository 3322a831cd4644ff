// A JSON object that crosses a process boundary, described once for both directions: its struct has
//
//   template <class Archive, class Self> static void fields(Archive& archive, Self& self) {
//     archive("path", self.path);
//   }
//
// and is written with encode_fields() and read with decode_fields(). All keys are there, in both directions: one that is
// missing, unknown, twice there, of another type or out of its member's range is an error. Texts are bytes: paths need not be
// UTF-8. An enumeration goes by name: names_of(VALUE) in its namespace gives an array of pairs of value and name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "proto/base/json.h"
#include "proto/base/result.h"

namespace leat::proto {

class FieldWriter {
 public:
  FieldWriter() { json_.begin('{'); }

  template <class Value>
  void operator()(const char* key, const Value& value) {
    if constexpr (std::is_enum_v<Value>) {
      for (const auto& [known, name] : names_of(value)) {
        if (known == value) json_.put(key, name);
      }
    } else {
      json_.put(key, value);
    }
  }
  void operator()(const char* key, int value) { json_.put(key, std::int64_t{value}); }
  template <class Value>
  void operator()(const char* key, const std::vector<Value>& values) {
    json_.put_all(key, values);
  }
  std::string finish() {  // once
    json_.end('}');
    return json_.text();
  }

 private:
  JsonWriter json_{JsonFor::kLeat};
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view json) : document_(parse_json_object(json)) {}

  void operator()(const char* key, std::string& value);
  void operator()(const char* key, bool& value);
  void operator()(const char* key, std::uint64_t& value);
  void operator()(const char* key, std::uint32_t& value);
  void operator()(const char* key, std::int64_t& value);
  void operator()(const char* key, int& value);
  void operator()(const char* key, std::vector<std::uint64_t>& values);
  void operator()(const char* key, std::vector<std::string>& values);
  template <class Enum>
  requires std::is_enum_v<Enum>
  void operator()(const char* key, Enum& value) {
    std::string text;
    (*this)(key, text);
    bool known = false;
    for (const auto& [named, name] : names_of(value)) {
      if (name != text) continue;
      value = named;
      known = true;
    }
    if (!known) refuse(key);
  }
  bool is_object() const { return document_.has_value(); }
  const std::string& bad_key() const {
    return bad_;
  }  // the first that is missing or of another type; empty: none
  // What is wrong with it, after all fields were read; empty: nothing.
  std::string problem() const;

 private:
  JsonValue find(const char* key);
  void refuse(const char* key);
  // Takes what is there, or refuses the key.
  template <class Found, class Value>
  void take(const char* key, const std::optional<Found>& found, Value& value);

  std::optional<JsonDocument> document_;
  std::size_t found_ = 0;
  std::string bad_;
};

template <class T>
std::string encode_fields(const T& value) {
  FieldWriter writer;
  T::fields(writer, value);
  return writer.finish();
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

}  // namespace leat::proto
