// An array answer becomes lines without a copy: each member moves to the left over the bracket, comma or
// blank before it, and its own comma or bracket becomes the newline. That always fits, as `[a,b]` is one byte
// longer than "a\nb\n".
#include "workers/processor/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "workers/stage/json/text.h"

namespace leat::processor {
namespace {

constexpr std::size_t kShownBytes = 80;     // of junk
constexpr std::size_t kReasonBytes = 1024;  // of a leat_error
constexpr std::string_view kErrorKey = "\"leat_error\"";

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

json::Paths error_path() {
  json::Paths paths;
  paths.add(config::Pointer::parse("/leat_error").value());
  return paths;
}

}  // namespace

AnswerReader::AnswerReader(std::string name) : name_(std::move(name)), scanner_(error_path()) {}

void AnswerReader::begin(std::span<char> lines) {
  lines_ = lines;
  scanner_.begin({lines.data(), lines.size()});
}

Answer AnswerReader::next(std::size_t begin, std::size_t end) {
  const std::string_view line(lines_.data() + begin, end - begin);
  std::size_t first = begin;
  std::size_t last = end;
  while (first < last && is_blank(lines_[first])) ++first;
  while (last > first && is_blank(lines_[last - 1])) --last;
  if (first == last) return junk(line);
  json::Value error;
  json::ScanError fault;
  if (!scanner_.next(begin, end, {&error, 1}, fault)) return junk(line);
  switch (lines_[first]) {
    case '{':
      return object(first, last, error);
    case '[':
      return array(first, last);
    case 'n':
      return {.kind = Answer::Kind::kDropped};
    default:
      return junk(line);
  }
}

Answer AnswerReader::object(std::size_t begin, std::size_t end, const json::Value& error) {
  if (error.type == json::Type::kString) {
    std::size_t key = begin + 1;
    while (is_blank(lines_[key])) ++key;
    if (std::string_view(&lines_[key], end - key).starts_with(kErrorKey)) {
      std::string_view text = json::decode(error.raw, reason_);
      std::size_t size = std::min(text.size(), kReasonBytes);
      while (size < text.size() && size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80)
        --size;
      text = text.substr(0, size);
      return {.kind = Answer::Kind::kRejected, .reason = text.empty() ? "leat_error without a text" : text};
    }
  }
  lines_[end] = '\n';  // over a blank behind it, or the newline itself
  return {.kind = Answer::Kind::kRecords, .bytes = {&lines_[begin], end + 1 - begin}, .records = 1};
}

Answer AnswerReader::array(std::size_t begin, std::size_t end) {
  if (elements_.build({&lines_[begin], end - begin}) != json::IndexFault::kNone)
    return junk({&lines_[begin], end - begin});  // the scanner has accepted it: cannot be
  std::size_t to = begin;
  std::size_t from = begin + 1;
  std::uint32_t count = 0;
  int depth = 0;
  for (const std::uint32_t position : elements_.positions()) {
    const std::size_t at = begin + position;
    const char c = lines_[at];
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    const bool over = depth == 0;
    if (!over && !(c == ',' && depth == 1)) continue;
    std::size_t last = at;
    while (from < last && is_blank(lines_[from])) ++from;
    while (last > from && is_blank(lines_[last - 1])) --last;
    if (over && from == last && count == 0) return {.kind = Answer::Kind::kDropped};
    if (lines_[from] != '{') {
      reason_ = name_ + ": answered with an array that has a member that is not an object";
      return {.kind = Answer::Kind::kRejected, .reason = reason_};
    }
    std::memmove(&lines_[to], &lines_[from], last - from);
    to += last - from;
    lines_[to++] = '\n';
    ++count;
    from = at + 1;
  }
  return {.kind = Answer::Kind::kRecords, .bytes = {&lines_[begin], to - begin}, .records = count};
}

Answer AnswerReader::junk(std::string_view line) {
  std::string shown(line.substr(0, kShownBytes));
  for (char& c : shown)
    if (c < 0x20 || c > 0x7E) c = '.';
  reason_ = fmt::format("{}: printed junk: expected a JSON object, null or array, got `{}`{}", name_, shown,
                        line.size() > kShownBytes ? "..." : "");
  return {.kind = Answer::Kind::kJunk, .reason = reason_};
}

}  // namespace leat::processor
