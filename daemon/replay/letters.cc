#include "daemon/replay/letters.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/base/base64.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"

namespace leat::replay {

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kReasonColumns = 100;

// "key" or, for bytes that are no UTF-8, "key_base64".
std::optional<std::string> bytes(const JsonValue& object, const std::string& key) {
  if (const auto text = object[key].as_text()) return std::string(*text);
  const auto encoded = object[key + "_base64"].as_text();
  return encoded ? from_base64(*encoded) : std::nullopt;
}

bool read_number(const JsonValue& object, std::string_view key, std::uint64_t& into) {
  const auto number = object[key].as_number();
  into = number.value_or(into);
  return number.has_value();
}

void append_bytes(std::string& line, std::string_view key, std::string_view text) {
  line += fmt::format("{}\"{}", line.empty() ? "{" : ",", key);
  if (is_utf8(text)) {
    line += "\":";
    append_quoted(line, text);
  } else {
    line += "_base64\":\"" + to_base64(text) + '"';
  }
}

}  // namespace

std::optional<Letter> parse_letter(std::string_view line) {
  const auto document = parse_json_object(line);
  if (!document) return std::nullopt;
  const JsonValue object = document->root();
  auto source = bytes(object, "source");
  auto stage = bytes(object, "stage");
  auto reason = bytes(object, "reason");
  Letter letter;
  bool whole = source && stage && reason && read_number(object, "line", letter.line) &&
               read_number(object, "offset", letter.offset) &&
               read_number(object, "attempts", letter.attempts);
  if (!whole) return std::nullopt;
  letter.source = *std::move(source);
  letter.stage = *std::move(stage);
  letter.reason = *std::move(reason);
  letter.record = bytes(object, "record");
  if (!letter.record && !read_number(object, "length", letter.length)) return std::nullopt;
  return letter;
}

std::string to_line(const Letter& letter) {
  std::string line;
  append_bytes(line, "source", letter.source);
  line += fmt::format(",\"line\":{},\"offset\":{}", letter.line, letter.offset);
  append_bytes(line, "stage", letter.stage);
  append_bytes(line, "reason", letter.reason);
  line += fmt::format(",\"attempts\":{}", letter.attempts);
  if (letter.record) {
    append_bytes(line, "record", *letter.record);
  } else {
    line += fmt::format(",\"length\":{}", letter.length);
  }
  return line + "}\n";
}

Result<Lines> Lines::open(const std::string& path, std::uint64_t until) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (fd) return Lines(std::move(fd), path, until);
  return fail(Fault::kFatal, fmt::format("{} cannot be read: {}", printable(path), std::strerror(errno)),
              errno == ENOENT ? kExitNoInput : kExitIo);
}

Result<std::optional<std::string_view>> Lines::next() {
  for (;;) {
    std::size_t newline = buffer_.find('\n', searched_);
    if (newline != std::string::npos) {
      std::string_view line = std::string_view(buffer_).substr(begin_, newline - begin_);
      begin_ = searched_ = newline + 1;
      bytes_given_ += line.size() + 1;
      ++number_;
      return line;
    }
    buffer_.erase(0, std::exchange(begin_, 0));
    searched_ = buffer_.size();
    std::array<char, kReadBytes> chunk;
    ssize_t count = ::read(fd_.get(), chunk.data(), std::min<std::uint64_t>(chunk.size(), left_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(Fault::kFatal,
                  fmt::format("{} cannot be read: {}", printable(path_), std::strerror(errno)));
    }
    if (count == 0) return std::nullopt;
    buffer_.append(chunk.data(), static_cast<std::size_t>(count));
    left_ -= static_cast<std::uint64_t>(count);
  }
}

std::string letter_header() {
  return fmt::format("{:>6}  {:<9} {:>5} {:>9}  {}\n", "NUMBER", "STAGE", "TRIES", "BYTES",
                     "SOURCE:LINE: REASON");
}

std::string letter_line(std::uint64_t number, const Letter& letter) {
  std::uint64_t size = letter.record ? letter.record->size() : letter.length;
  return fmt::format("{:>6}  {:<9} {:>5} {:>9}  {}:{}: {}{}\n", number, printable(letter.stage),
                     letter.attempts, human_bytes(size), printable(letter.source), letter.line,
                     cut_to(printable(letter.reason), kReasonColumns),
                     letter.record ? "" : " (by reference)");
}

}  // namespace leat::replay
