// Writing and reading JSON: the one place that knows RapidJSON. For what crosses a process boundary and for people's programs;
// records have a scanner of their own (workers/stage/json).
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "proto/base/result.h"

namespace leat {

// Who reads it?
enum class JsonFor : std::uint8_t {
  kLeat,  // one of our own processes: strings are bytes, as they are
  kPeople,  // bytes that are not UTF-8 (a path may have any) are written as U+FFFD, and what a terminal acts on as \uXXXX
};

// Closes what it opens.
class JsonWriter {
 public:
  explicit JsonWriter(JsonFor reader = JsonFor::kPeople);
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  // In an object.
  template <class Value>
  void put(std::string_view name, const Value& value) {
    key(name);
    item(value);
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
  void put_all(std::string_view name, const Items& items) {
    array(name, [&] {
      for (const auto& each : items) item(each);
    });
  }

  // In an array, or alone.
  void item(std::string_view value);
  void item(const std::string& value) { item(std::string_view(value)); }
  void item(const char* value) { item(std::string_view(value)); }
  void item(double value);
  void item(bool value);
  void null();
  template <std::integral Number>
  void item(Number value) {
    if constexpr (std::is_signed_v<Number>) {
      signed_number(value);
    } else {
      number(value);
    }
  }
  template <class Members>
  void object(Members members) {
    begin('{');
    members();
    end('}');
  }
  template <class Items>
  void array(Items items) {
    begin('[');
    items();
    end(']');
  }

  // For what cannot be a function of its own: '{' or '[', and '}' or ']'.
  void begin(char bracket);
  void end(char bracket);
  void key(std::string_view name);

  std::string text() const;

 private:
  void number(std::uint64_t value);
  void signed_number(std::int64_t value);

  struct Parts;
  JsonFor reader_;
  std::unique_ptr<Parts> parts_;
};

// A value in a JsonDocument, which it borrows; or nothing, where there is none.
class JsonValue {
 public:
  JsonValue() = default;
  explicit operator bool() const { return node_ != nullptr; }

  // nullopt: nothing, or of another type.
  std::optional<std::string_view> as_text() const;
  std::optional<std::uint64_t> as_number() const;
  std::optional<std::int64_t> as_signed() const;
  std::optional<double> as_real() const;
  std::optional<bool> as_bool() const;
  bool is_object() const;
  bool is_array() const;
  bool is_null() const;  // null itself, not nothing

  // A member of an object, the first of its name; nothing if it has none or is no object.
  JsonValue operator[](std::string_view name) const;
  std::size_t members() const;
  // The same as a value: empty, zero or false where it is not there or of another type.
  std::string text(std::string_view name) const { return std::string((*this)[name].as_text().value_or("")); }
  std::uint64_t number(std::string_view name) const { return (*this)[name].as_number().value_or(0); }
  double real(std::string_view name) const { return (*this)[name].as_real().value_or(0); }
  bool is_true(std::string_view name) const { return (*this)[name].as_bool().value_or(false); }

  // Of an array; none of anything else.
  std::size_t size() const;
  JsonValue operator[](std::size_t index) const;
  template <class Each>
  void each(Each each) const {
    for (std::size_t i = 0; i < size(); ++i) each((*this)[i]);
  }

  std::string to_json() const;

 private:
  friend class JsonDocument;
  explicit JsonValue(const void* node) : node_(node) {}

  const void* node_ = nullptr;
};

// Owns what was read. Depth of hostile text does not become depth of the stack.
class JsonDocument {
 public:
  // Strings may hold bytes that are not UTF-8. kReject: "wrong at byte N".
  static Result<JsonDocument> parse(std::string_view text);
  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  JsonValue root() const;

 private:
  struct Parts;
  explicit JsonDocument(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The same for one object and nothing else; nullopt: that is not what it is.
std::optional<JsonDocument> parse_json_object(std::string_view text);

}  // namespace leat
