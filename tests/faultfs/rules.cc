#include "tests/faultfs/rules.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iomanip>
#include <istream>
#include <stdexcept>
#include <thread>

namespace faultfs {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{20};  // how often a hanging operation looks whether its caller was killed
constexpr int kLastErrno = 133;
constexpr std::string_view kOps[] = {
    "any",    "getattr", "readlink", "mknod", "mkdir", "unlink",  "rmdir",  "symlink",   "rename",
    "link",   "chmod",   "chown",    "open",  "read",  "write",   "statfs", "flush",     "truncate",
    "create", "readdir", "opendir",  "fsync", "lseek", "utimens", "access", "fallocate", "fsyncdir"};

std::string word(std::istream& words, const char* what) {
  std::string text;
  if (!(words >> std::quoted(text))) throw std::runtime_error(fmt::format("{} is missing", what));
  return text;
}

std::int64_t number(const std::string& text, const char* what) {
  std::size_t end = 0;
  std::int64_t value = -1;
  try {
    value = std::stoll(text, &end);
  } catch (const std::exception&) {
  }
  if (value < 0 || end != text.size())
    throw std::runtime_error(fmt::format("{}: not a number: {}", what, text));
  return value;
}

std::string operation(std::istream& words) {
  std::string op = word(words, "OP");
  if (std::find(std::begin(kOps), std::end(kOps), op) == std::end(kOps))
    throw std::runtime_error("no operation is called " + op);
  return op;
}

int error_number(const std::string& name) {
  for (int error = 1; error <= kLastErrno; ++error)
    if (const char* known = strerrorname_np(error); known && name == known) return error;
  throw std::runtime_error("no error is called " + name);
}

std::string in_quotes(const std::string& path) {
  std::string text = "\"";
  for (char c : path) {
    if (c == '"' || c == '\\') text += '\\';
    if (static_cast<unsigned char>(c) < ' ')
      text += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      text += c;
  }
  return text + '"';
}

}  // namespace

bool Rules::Rule::matches(const Question& question) const {
  if (op != "any" && op != question.op) return false;
  if (kind == Kind::kHang && offset > 0 && question.offset + static_cast<off_t>(question.size) <= offset)
    return false;
  return fnmatch(glob.c_str(), question.path, 0) == 0 ||
         (question.path2 && fnmatch(glob.c_str(), question.path2, 0) == 0);
}

Rules::Rule Rules::parse(std::string_view name, std::istream& words) const {
  Rule rule{};
  rule.op = "any";
  if (name == "fail") {
    rule = {.kind = Kind::kFail, .op = operation(words), .glob = word(words, "GLOB")};
    rule.error = error_number(word(words, "ERRNO"));
  } else if (name == "hang") {
    rule = {.kind = Kind::kHang, .op = operation(words), .glob = word(words, "GLOB")};
  } else if (name == "delay") {
    rule = {.kind = Kind::kDelay, .op = operation(words), .glob = word(words, "GLOB")};
    rule.amount = number(word(words, "MS"), "MS");
  } else if (name == "short") {
    rule = {.kind = Kind::kShort, .op = operation(words), .glob = word(words, "GLOB")};
    rule.amount = std::max<std::int64_t>(1, number(word(words, "N"), "N"));
  } else if (name == "empty") {
    rule = {.kind = Kind::kEmpty, .op = "readdir", .glob = word(words, "GLOB")};
  } else if (name == "stale") {
    rule = {
        .kind = Kind::kStale, .op = "any", .glob = word(words, "GLOB"), .error = ESTALE, .opened = opened_};
  } else if (name == "nuls") {
    rule = {.kind = Kind::kNuls, .op = "read", .glob = word(words, "GLOB")};
    rule.amount = number(word(words, "N"), "N");
  } else if (name == "away") {
    rule = {.kind = Kind::kAway, .op = "any", .glob = "*", .error = ENOTCONN};
  } else {
    throw std::runtime_error(fmt::format("no command is called {}", name));
  }
  for (std::string option; words >> option;) {
    const auto split = option.find('=');
    const std::string key = option.substr(0, split);
    const std::string value = split == std::string::npos ? "" : option.substr(split + 1);
    if (rule.kind == Kind::kHang && option == "hard")
      rule.hard = true;
    else if (rule.kind == Kind::kAway && split == std::string::npos)
      rule.error = error_number(option);
    else if (rule.kind == Kind::kFail && key == "after")
      rule.after = number(value, "after");
    else if (rule.kind == Kind::kFail && key == "times")
      rule.times = number(value, "times");
    else if ((rule.kind == Kind::kFail || rule.kind == Kind::kHang) && key == "offset")
      rule.offset = number(value, "offset");
    else
      throw std::runtime_error(fmt::format("{} takes no {}", name, option));
  }
  return rule;
}

std::string Rules::command(std::string_view name, std::istream& words) {
  std::lock_guard lock(mutex_);
  std::string answer = "ok";
  if (name == "stats") {
    answer = stats();
  } else if (name == "reset") {
    uses_.clear();
    faults_ = 0;
  } else if (name == "clear") {
    rules_.clear();
    room_ = -1;
  } else if (name == "release") {
    rules_.remove_if([](const Rule& rule) { return rule.kind == Kind::kHang; });
  } else if (name == "back") {
    rules_.remove_if([](const Rule& rule) { return rule.kind == Kind::kAway; });
  } else if (name == "full") {
    const std::string bytes = word(words, "BYTES");
    room_ = bytes == "off" ? -1 : number(bytes, "BYTES");
  } else {
    rules_.push_back(parse(name, words));
  }
  changed_.notify_all();
  return answer;
}

bool Rules::hangs(const Question& question) const {
  return std::any_of(rules_.begin(), rules_.end(),
                     [&](const Rule& rule) { return rule.kind == Kind::kHang && rule.matches(question); });
}

// False: the rule lets this operation pass, perhaps shortened.
bool Rules::fails(Rule& rule, Answer& answer, const Question& question) {
  if (rule.kind == Kind::kStale) return question.opened != 0 && question.opened <= rule.opened;
  if (rule.kind == Kind::kAway) return true;
  if (rule.kind != Kind::kFail || rule.times == 0) return false;
  const bool has_offset = question.size > 0 && rule.offset > 0;
  if (has_offset && question.offset + static_cast<off_t>(question.size) <= rule.offset) return false;
  if (has_offset && question.offset < rule.offset) {  // what lies before it is still had
    answer.size = std::min(answer.size, static_cast<std::size_t>(rule.offset - question.offset));
    return false;
  }
  if (rule.after > 0) {
    --rule.after;
    return false;
  }
  if (rule.times > 0) --rule.times;
  return true;
}

Answer Rules::ask(const Question& question, const std::function<int()>& give_up) {
  std::unique_lock lock(mutex_);
  std::int64_t delay_ms = 0;
  for (const Rule& rule : rules_)
    if (rule.kind == Kind::kDelay && rule.matches(question)) delay_ms += rule.amount;
  if (delay_ms > 0 && power_) {
    lock.unlock();
    std::this_thread::sleep_for(milliseconds(delay_ms));
    lock.lock();
  }
  Answer answer{.size = question.size};
  ++hanging_;
  while (power_ && answer.error == 0 && hangs(question)) {
    changed_.wait_for(lock, kLook);
    const bool hard = std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
      return rule.kind == Kind::kHang && rule.hard && rule.matches(question);
    });
    lock.unlock();
    const int error = give_up();
    lock.lock();
    if (error != EINTR || !hard) answer.error = error;
  }
  --hanging_;
  if (!power_ || (question.opened != 0 && question.opened <= dead_)) answer.error = EIO;
  for (Rule& rule : rules_) {
    if (answer.error != 0) break;
    if (!rule.matches(question)) continue;
    if (rule.kind == Kind::kShort) answer.size = std::min(answer.size, static_cast<std::size_t>(rule.amount));
    if (rule.kind == Kind::kNuls) answer.nuls = std::max<off_t>(answer.nuls, rule.amount);
    if (rule.kind == Kind::kEmpty) answer.empty = true;
    if (fails(rule, answer, question)) answer.error = rule.error;
  }
  if (answer.error == 0 && room_ >= 0 && question.growth > 0) {
    const std::size_t overwritten = question.size - std::min(question.size, question.growth);
    const std::size_t fits = overwritten + std::min(question.growth, static_cast<std::size_t>(room_));
    answer.size = std::min(answer.size, fits);
    if (fits == 0 || question.size == 0) answer.error = fits < question.growth ? ENOSPC : 0;
    if (answer.error == 0)
      room_ -= static_cast<std::int64_t>(
          question.size == 0 ? question.growth : answer.size - std::min(answer.size, overwritten));
  }
  if (answer.error != 0) ++faults_;
  return answer;
}

std::uint64_t Rules::opened() {
  std::lock_guard lock(mutex_);
  return ++opened_;
}

void Rules::used(const char* path, std::uint64_t Use::*what, std::uint64_t amount) {
  std::lock_guard lock(mutex_);
  uses_[path].*what += amount;
}

std::int64_t Rules::room() {
  std::lock_guard lock(mutex_);
  return room_;
}

std::string Rules::stats() const {
  std::string text = fmt::format(R"({{"power":{},"hanging":{},"faults":{},"room":{},"paths":{{)", power_,
                                 hanging_, faults_, room_);
  const char* comma = "";
  for (const auto& [path, use] : uses_) {
    text += fmt::format(
        R"({}{}:{{"read":{},"written":{},"opens":{},"getattrs":{},"fsyncs":{},"listings":{}}})", comma,
        in_quotes(path), use.read, use.written, use.opens, use.getattrs, use.fsyncs, use.listings);
    comma = ",";
  }
  return text + "}}";
}

void Rules::cut() {
  std::lock_guard lock(mutex_);
  power_ = false;
  dead_ = opened_;
  changed_.notify_all();
}

void Rules::restore() {
  std::lock_guard lock(mutex_);
  power_ = true;
  dead_ = opened_;
}

}  // namespace faultfs
