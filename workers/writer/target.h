// The placeholders of a sink path: what each stands for, and the path that comes out.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace leat::writer {

class Target {
 public:
  // path: sink.path, absolute, with {stem} {path} {n} {date}. globs: source.paths, which {path} is relative
  // to.
  Target(std::string path, const std::vector<std::string>& globs);

  bool per_source() const { return per_source_; }  // holds {stem} or {path}: one output per input file

  bool numbered() const { return numbered_; }  // holds {n}

  // Whether expand() may have made it.
  bool fits(std::string_view target) const;

  // The folder in front of the first placeholder: it must exist. Folders that a placeholder names are
  // created.
  const std::string& fixed_folder() const { return fixed_folder_; }

  // {stem}: the source's file name without .zst/.gz and then without .jsonl/.ndjson/.json.
  // {path}: the same, behind its folders below the fixed prefix of the globs (the longest that fits).
  // {n}: six digits, more if it must. {date}: UTC, YYYY-MM-DD.
  std::string expand(std::string_view source, std::uint64_t n,
                     std::chrono::system_clock::time_point now) const;

 private:
  std::string relative(std::string_view source) const;

  std::string path_;
  std::vector<std::string> prefixes_;  // the fixed folder of each glob, '/' at the end
  std::string fixed_folder_;
  bool per_source_;
  bool numbered_;
};

}  // namespace leat::writer
