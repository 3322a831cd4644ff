#include "workers/writer/target.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <initializer_list>
#include <utility>

#include "config/glob.h"
#include "workers/writer/file.h"

namespace leat::writer {

namespace {

std::string_view without_suffix(std::string_view name, std::initializer_list<std::string_view> suffixes) {
  for (std::string_view suffix : suffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix))
      return name.substr(0, name.size() - suffix.size());
  }
  return name;
}

std::string_view without_extensions(std::string_view name) {
  return without_suffix(without_suffix(name, {".zst", ".gz"}), {".jsonl", ".ndjson", ".json"});
}

}  // namespace

Target::Target(std::string path, const std::vector<std::string>& globs)
    : path_(std::move(path)),
      fixed_folder_(folder_of(std::string_view(path_).substr(0, path_.find('{')))),
      per_source_(path_.find("{stem}") != std::string::npos || path_.find("{path}") != std::string::npos),
      numbered_(path_.find("{n}") != std::string::npos) {
  for (const std::string& glob : globs) {
    std::string root = config::glob_root(glob);
    if (!root.ends_with('/')) root += '/';
    prefixes_.push_back(std::move(root));
  }
}

bool Target::fits(std::string_view target) const {
  return config::sink_match(path_, target);
}

std::string Target::expand(std::string_view source, std::uint64_t n,
                           std::chrono::system_clock::time_point now) const {
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const std::array<std::pair<std::string_view, std::string>, 4> values{{
      {"{stem}", std::string(without_extensions(name_of(source)))},
      {"{path}", relative(source)},
      {"{n}", fmt::format("{:06}", n)},
      {"{date}", fmt::format("{:%Y-%m-%d}", fmt::gmtime(seconds))},
  }};
  std::string out;
  for (std::string_view rest = path_; !rest.empty();) {
    auto known = std::find_if(values.begin(), values.end(),
                              [&](const auto& value) { return rest.starts_with(value.first); });
    if (known == values.end()) {
      out += rest.front();
      rest.remove_prefix(1);
    } else {
      out += known->second;
      rest.remove_prefix(known->first.size());
    }
  }
  return out;
}

std::string Target::relative(std::string_view source) const {
  std::size_t cut = 0;
  for (const std::string& prefix : prefixes_) {
    if (prefix.size() > cut && source.starts_with(prefix)) cut = prefix.size();
  }
  if (cut == 0) cut = source.rfind('/') + 1;  // under no prefix: the name alone
  return std::string(without_extensions(source.substr(cut)));
}

}  // namespace leat::writer
