// A log line: `event key=value key="quoted when it has to be"`.
//
// Names of events and keys are ours and written as they are. Values come from anywhere (paths, reasons, what a program
// said): none of them can end a line, begin a key, or reach a terminal as anything but text.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leat::log {

inline constexpr std::size_t kMaxValueBytes = 1024;

// The numbers are syslog's, which the journal reads.
enum class Level : std::uint8_t {
  kError = 3,    // data is lost, or a person is needed
  kWarning = 4,  // recovered
  kInfo = 6,     // life cycle, and a periodic tally
  kDebug = 7,    // never per record
};

// Borrows its text: for one call.
class Value {
 public:
  Value(std::string_view text) : text_(text) {}
  Value(const char* text) : text_(text) {}
  Value(const std::string& text) : text_(text) {}
  Value(bool value) : text_(value ? "true" : "false") {}
  Value(double value) : number_(format(value)) {}
  template <std::integral Integer>
  Value(Integer value) : number_(std::to_string(value)) {}

  std::string_view text() const { return number_.empty() ? text_ : number_; }

 private:
  static std::string format(double value);

  std::string_view text_;
  std::string number_;
};

struct Field {
  std::string_view key;
  Value value;
};
using Fields = std::vector<Field>;

// Control characters (C1 too), what turns the direction of writing, quotes and backslashes escaped as in C, and bytes that are
// not UTF-8 as \xNN. Cut to kMaxValueBytes with "..." at the end. Without quotes around it.
std::string escaped(std::string_view text);

// `key=value key="a value"`, the fields of a line.
std::string fields_text(const Fields& fields);

// The value of a key, "" when it is not there.
std::string_view find(const Fields& fields, std::string_view key);

}  // namespace leat::log
