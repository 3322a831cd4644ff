// Paths as people write them: with ${NAME} and ${file:PATH}, which are replaced here, once, and with what other programs
// would understand and leat does not, which is an error that says what to write.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "config/glob.h"
#include "config/text.h"
#include "config/yaml/sections.h"
#include "proto/base/fd.h"

namespace leat::config {

namespace {

constexpr std::size_t kMaxReplaced = 4096;  // bytes of a value or a file: a path or a token

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The first line of a file, as systemd's LoadCredential= gives one.
std::optional<std::string> first_line(const Value& value, const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, kMaxReplaced + 1> bytes{};
  const ssize_t count = file ? ::read(file.get(), bytes.data(), bytes.size()) : -1;
  if (count < 0) {
    value.problem(fmt::format("${{file:{}}} cannot be read: {}", path, std::strerror(errno)));
    return std::nullopt;
  }
  const std::string_view text(bytes.data(), static_cast<std::size_t>(count));
  const std::string_view line = text.substr(0, text.find('\n'));
  if (line.size() > kMaxReplaced) {
    value.problem(fmt::format("the first line of {} is longer than {} bytes", in_quotes(path), kMaxReplaced));
    return std::nullopt;
  }
  return std::string(line.substr(0, line.find_last_not_of('\r') + 1));
}

std::optional<std::string> variable(const Value& value, std::string_view name) {
  if (name.starts_with("file:")) return first_line(value, std::string(name.substr(5)));
  if (!is_variable_name(name)) {
    value.problem(
        fmt::format("{} is no name of a variable: write ${{NAME}} or ${{file:/path}}", in_quotes(name)));
    return std::nullopt;
  }
  const char* found = std::getenv(std::string(name).c_str());
  if (found != nullptr && std::strlen(found) <= kMaxReplaced) return found;
  value.problem(fmt::format(
      "${{{}}} is not set in the environment (of leatd: Environment= in a drop-in of its unit)", name));
  return std::nullopt;
}

// What a shell would replace and this does not, and what to write; "".
std::string shell_word(std::string_view path) {
  if (path.starts_with('~'))
    return fmt::format("{} is not replaced here: write ${{HOME}}, or the path",
                       path.substr(0, path.find('/')));
  for (std::size_t at = 0; (at = path.find('$', at)) != std::string_view::npos; ++at) {
    const std::string_view rest = path.substr(at + 1);
    std::size_t length = 0;
    while (length < rest.size() && (is_letter(rest[length]) || rest[length] == '_')) ++length;
    const bool begins_name = at == 0 || path[at - 1] == '/';
    if (rest.starts_with('(')) return "commands are not run here: write out what it gives";
    if (begins_name && length > 0 && (rest[0] < 'a' || rest[0] > 'z'))
      return fmt::format("write ${{{0}}} for ${0}", rest.substr(0, length));
  }
  return "";
}

// Text that is no path of this machine's files; "".
std::string elsewhere(std::string_view path) {
  const std::string_view scheme = path.substr(0, std::min(path.find("://"), path.size()));
  if (scheme.size() < path.size() && scheme.find('/') == std::string_view::npos && !scheme.empty())
    return fmt::format("leat reads and writes files: mount what {}:// leads to, and name its folder", scheme);
  if (path.size() > 2 && is_letter(path[0]) && path[1] == ':' && path[2] == '\\')
    return "that is a path of Windows: mount the drive, and name its folder";
  return path == "-" ? "- is no stdin or stdout here: name a file, or /dev/stdout" : "";
}

}  // namespace

std::string lexical(const std::string& path) {
  std::string text = std::filesystem::path(path).lexically_normal().string();
  if (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

bool is_variable_name(std::string_view name) {
  const auto fits = [](char c) { return is_letter(c) || c == '_' || (c >= '0' && c <= '9'); };
  return !name.empty() && std::ranges::all_of(name, fits) && (name[0] < '0' || name[0] > '9');
}

std::optional<std::string> interpolated(const Value& value, std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t dollar = text.find("${");
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    const std::size_t end = text.find('}', dollar);
    if (end == std::string_view::npos) {
      value.problem(fmt::format("the ${{ in {} has no }}", in_quotes(text)));
      return std::nullopt;
    }
    const auto found = variable(value, text.substr(dollar + 2, end - dollar - 2));
    if (!found) return std::nullopt;
    out += *found;
    text.remove_prefix(end + 1);
  }
}

std::optional<std::string> parse_path(const Value& value, const std::string& base_dir) {
  const auto text = value.text("a path");
  if (!text) return std::nullopt;
  if (text->empty()) {
    value.expected("a path");
  } else if (const std::string advice = elsewhere(*text) + shell_word(*text); !advice.empty()) {
    value.expected("a path", advice);
  } else if (const auto path = interpolated(value, *text)) {
    return lexical((std::filesystem::path(base_dir) / *path).string());
  }
  return std::nullopt;
}

std::optional<std::string> parse_glob(const Value& value, const std::string& base_dir) {
  const auto path = parse_path(value, base_dir);
  if (!path) return std::nullopt;
  const std::string& text = value.node().text;
  const std::size_t brace = text.find('{') == std::string::npos ? 0 : text.find(',', text.find('{'));
  if (text.starts_with('!')) {
    value.problem("there is no ! here: put what is not to be read into source.exclude");
  } else if (brace != 0 && brace != std::string::npos && text.find('}', brace) != std::string::npos &&
             text.find("${") == std::string::npos) {
    value.problem("there is no {a,b} here: write a glob for each");
  } else if (const std::string wrong = glob_problem(*path); !wrong.empty()) {
    value.problem(wrong);
  } else {
    return path;
  }
  return std::nullopt;
}

}  // namespace leat::config
