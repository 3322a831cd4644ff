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
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/result.h"

namespace leat::proto {

class FieldWriter {
 public:
  FieldWriter();
  ~FieldWriter();
  FieldWriter(const FieldWriter&) = delete;
  FieldWriter& operator=(const FieldWriter&) = delete;

  void operator()(const char* key, const std::string& value);
  void operator()(const char* key, bool value);
  void operator()(const char* key, std::uint64_t value);
  void operator()(const char* key, std::uint32_t value) { (*this)(key, std::uint64_t{value}); }
  void operator()(const char* key, std::int64_t value);
  void operator()(const char* key, const std::vector<std::uint64_t>& values);
  std::string finish();  // once

 private:
  struct Json;
  std::unique_ptr<Json> json_;
};

class FieldReader {
 public:
  explicit FieldReader(std::string_view json);
  ~FieldReader();
  FieldReader(const FieldReader&) = delete;
  FieldReader& operator=(const FieldReader&) = delete;

  void operator()(const char* key, std::string& value);
  void operator()(const char* key, bool& value);
  void operator()(const char* key, std::uint64_t& value);
  void operator()(const char* key, std::uint32_t& value);
  void operator()(const char* key, std::int64_t& value);
  void operator()(const char* key, std::vector<std::uint64_t>& values);
  // What is wrong with it, after all fields were read; empty: nothing.
  std::string problem() const;

 private:
  struct Json;
  void refuse(const char* key);
  std::unique_ptr<Json> json_;
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
