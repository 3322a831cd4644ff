// Writing JSON for people's programs: a thin cover over RapidJSON's writer that closes what it opens.
#pragma once

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/text.h"

namespace leat::cli {

class Json {
 public:
  // Bytes that are not UTF-8 (a path may have any) are written as U+FFFD.
  void put(std::string_view name, std::string_view value) {
    key(name);
    string(value);
  }
  void put(std::string_view name, const std::string& value) { put(name, std::string_view(value)); }
  void put(std::string_view name, const char* value) { put(name, std::string_view(value)); }
  void put(std::string_view name, std::uint64_t value) {
    key(name);
    writer_.Uint64(value);
  }
  void put(std::string_view name, double value) {
    key(name);
    writer_.Double(value);
  }
  void put(std::string_view name, bool value) {
    key(name);
    writer_.Bool(value);
  }
  void item(std::string_view value) { string(value); }

  template <class Members>
  void object(Members members) {
    writer_.StartObject();
    members();
    writer_.EndObject();
  }
  template <class Members>
  void object(std::string_view name, Members members) {
    key(name);
    object(members);
  }
  template <class Items>
  void array(std::string_view name, Items items) {
    key(name);
    array(items);
  }
  template <class Items>
  void array(Items items) {
    writer_.StartArray();
    items();
    writer_.EndArray();
  }
  // Exact, and nothing in it that a terminal acts on.
  std::string text() const { return printable_json({buffer_.GetString(), buffer_.GetSize()}); }

 private:
  void key(std::string_view name) { writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size())); }
  void string(std::string_view value);

  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{buffer_};
};

}  // namespace leat::cli
