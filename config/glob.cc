// The matcher works on two levels with one idea: of several stars only the last one ever has to be tried
// again, as whatever an earlier star could take more, the later one can take as well. So names are matched
// with one place to go back to (the last *), and paths, name by name, with another (the last **). No
// recursion, no exponential case.
#include "config/glob.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

#include "config/keys.h"
#include "config/text.h"
#include "proto/base/files.h"
#include "proto/base/mounts.h"
#include "proto/base/text.h"

namespace leat::config {
namespace {

// The character at `at` and behind it; a byte that starts no UTF-8 character is a value of its own above
// Unicode.
std::uint32_t next_character(std::string_view text, std::size_t& at) {
  const std::size_t length = utf8_point(text.substr(at));
  if (length == 0) return 0x110000U + static_cast<unsigned char>(text[at++]);
  at += length;
  return code_point(text.substr(at - length, length));
}

// Where the set that opens at pattern[at] ends (behind its ']'), or npos.
std::size_t set_end(std::string_view pattern, std::size_t at) {
  ++at;
  if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) ++at;
  const std::size_t close = pattern.find(']', at + 1);
  return close == std::string_view::npos ? close : close + 1;
}

bool in_set(std::string_view set, std::uint32_t character) {
  std::size_t at = 1;
  const bool negated = set[at] == '!' || set[at] == '^';
  if (negated) ++at;
  const std::size_t end = set.size() - 1;
  bool found = false;
  while (at < end) {
    const std::uint32_t low = next_character(set, at);
    std::uint32_t high = low;
    if (at + 1 < end && set[at] == '-') high = next_character(set, ++at);
    found = found || (low <= character && character <= high);
  }
  return found != negated;
}

// Matches one character of the name with one item of the pattern that is not a star; moves both on.
bool match_one(std::string_view pattern, std::size_t& p, std::string_view name, std::size_t& n) {
  const std::uint32_t character = next_character(name, n);
  if (pattern[p] == '?') {
    ++p;
    return true;
  }
  if (pattern[p] == '[') {
    const std::size_t end = set_end(pattern, p);
    if (end != std::string_view::npos) {
      const std::string_view set = pattern.substr(p, end - p);
      p = end;
      return in_set(set, character);
    }
  }
  return next_character(pattern, p) == character;
}

// The name at `at`, and `at` moved behind its slash; past the end of the path: nothing.
std::optional<std::string_view> next_name(std::string_view path, std::size_t& at) {
  if (at > path.size()) return std::nullopt;
  const std::size_t slash = std::min(path.find('/', at), path.size());
  const std::string_view name = path.substr(at, slash - at);
  at = slash + 1;
  return name;
}

}  // namespace

bool glob_match_name(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;  // behind the last star
  std::size_t taken = 0;                      // the name from here on is not the star's
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      taken = n;
      continue;
    }
    if (p < pattern.size() && match_one(pattern, p, name, n)) continue;
    if (star == std::string_view::npos) return false;
    next_character(name, taken);
    p = star;
    n = taken;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool glob_match(std::string_view pattern, std::string_view path) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;  // behind the last **
  std::size_t taken = 0;
  while (n <= path.size()) {
    std::size_t p_next = p;
    const auto part = next_name(pattern, p_next);
    if (part == "**") {
      if (p_next > pattern.size()) return n < path.size();  // everything below, but not the folder itself
      star = p = p_next;
      taken = n;
      continue;
    }
    std::size_t n_next = n;
    const auto name = next_name(path, n_next);
    if (part && glob_match_name(*part, *name)) {
      p = p_next;
      n = n_next;
      continue;
    }
    if (star == std::string_view::npos) return false;
    next_name(path, taken);
    p = star;
    n = taken;
  }
  return p > pattern.size();
}

bool is_glob(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

bool is_excluded(const std::vector<std::string>& exclude, std::string_view root, std::string_view path) {
  if (exclude.empty()) return false;
  for (std::size_t begin = root == "/" ? 1 : root.size() + 1; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto matches = [&](const std::string& pattern) {
      return pattern.find('/') == std::string::npos
                 ? glob_match_name(pattern, path.substr(begin, end - begin))
                 : glob_match(pattern, path.substr(0, end));
    };
    if (std::any_of(exclude.begin(), exclude.end(), matches)) return true;
    begin = end + 1;
  }
  return false;
}

bool is_source(const std::vector<std::string>& globs, const std::vector<std::string>& exclude,
               std::string_view path) {
  return std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
    return glob_match(glob, path) && !is_excluded(exclude, glob_root(glob), path);
  });
}

std::string glob_problem(std::string_view pattern) {
  std::size_t at = 0;
  while (const auto part = next_name(pattern, at)) {
    for (std::size_t p = 0; p < part->size();) {
      if ((*part)[p] != '[') {
        ++p;
        continue;
      }
      p = set_end(*part, p);
      if (p == std::string_view::npos) {
        return fmt::format("in {} a [ has no ] in the same name (a literal one is written [[])",
                           in_quotes(pattern));
      }
    }
  }
  return "";
}

std::string glob_root(std::string_view pattern) {
  return fixed_folder(pattern, "*?[");
}

std::string glob_example(std::string_view pattern) {
  std::string out;
  std::size_t at = 0;
  while (const auto part = next_name(pattern, at)) {
    const bool last = at > pattern.size();
    if (part == "**") {
      if (last) out += "x";
      continue;
    }
    for (std::size_t p = 0; p < part->size(); ++p) {
      const char c = (*part)[p];
      const std::size_t end = c == '[' ? set_end(*part, p) : std::string_view::npos;
      if (end == std::string_view::npos) {
        out += c == '*' || c == '?' ? 'x' : c;
        continue;
      }
      // Of a set its first character; of a negated one the first letter outside of it.
      const std::string_view set = part->substr(p, end - p);
      std::size_t first = 1;
      const bool negated = set[1] == '!' || set[1] == '^';
      if (!negated) next_character(set, first);
      char letter = 'a';
      while (negated && letter < 'z' && !in_set(set, static_cast<unsigned char>(letter))) ++letter;
      out += negated ? std::string(1, letter) : std::string(set.substr(1, first - 1));
      p = end - 1;
    }
    if (!last) out += '/';
  }
  return out;
}

bool sink_match(std::string_view sink_path, std::string_view path) {
  for (std::string_view name : names::kPlaceholders) {
    if (!sink_path.starts_with(name)) continue;
    for (std::size_t used = 1; used <= path.size(); ++used) {
      if (sink_match(sink_path.substr(name.size()), path.substr(used))) return true;
    }
    return false;
  }
  if (sink_path.empty() || path.empty()) return sink_path.empty() && path.empty();
  return sink_path.front() == path.front() && sink_match(sink_path.substr(1), path.substr(1));
}

std::string reads_own_output(const std::vector<std::string>& globs, const std::string& output) {
  const Mounts mounts = Mounts::now();
  for (const std::string& glob : globs) {
    auto seen = mounts.seen_from(glob_root(glob), output);
    if (seen && glob_match(glob, *seen)) return glob;
  }
  return {};
}

}  // namespace leat::config
