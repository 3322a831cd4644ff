// A JSON object that crosses a process boundary, described once for both directions: its struct has
//
//   template <class Archive, class Self> static void fields(Archive& archive, Self& self) {
//     archive("path", self.path);
//   }
//
// and is written with encode_fields() and read with decode_fields(). All keys are there, in both directions: one that is
// missing, unknown, twice there, of another type or out of its member's range is an error. Texts are bytes: paths need not be
// UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/json.h"
#include "proto/base/result.h"

namespace leat::proto {

class FieldWriter {
 public:
  FieldWriter() { json_.begin('{'); }

  template <class Value>
  void operator()(const char* key, const Value& value) {
    json_.put(key, value);
  }
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
  void operator()(const char* key, std::vector<std::uint64_t>& values);
  // What is wrong with it, after all fields were read; empty: nothing.
  std::string problem() const;

 private:
  JsonValue find(const char* key);
  // Takes what is there, or refuses the key.
  template <class Found, class Value>
  void take(const char* key, const std::optional<Found>& found, Value& value);

  std::optional<JsonDocument> document_;
  std::size_t found_ = 0;
  std::string bad_;  // the first key
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
