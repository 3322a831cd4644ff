// The walk carries a set of states, each a place in one of the globs, down the tree: "in this folder, part 3
// of glob 1 and part 2 of glob 0 come next". ** is a state that stays. So a folder is read once whatever the
// number of globs and of ** in them, and that is what costs on a network mount; nothing can go exponential.
// Parts without wildcards are looked up by name without reading the folder: it may not be readable, or be
// huge.
#include "workers/reader/listing.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "config/glob.h"
#include "workers/reader/names.h"

namespace leat::reader {
namespace {

struct Pattern {
  std::vector<std::string> parts;
  std::string root;  // the folder before the first wildcard
  bool literal = true;
};

struct State {
  std::size_t pattern;
  std::size_t part;
  bool operator==(const State&) const = default;
};

Pattern split(std::string_view glob) {
  Pattern pattern;
  pattern.root = config::glob_root(glob);
  while (!glob.empty()) {
    const std::size_t slash = std::min(glob.find('/'), glob.size());
    const std::string_view part = glob.substr(0, slash);
    if (!part.empty()) pattern.parts.emplace_back(part);
    glob.remove_prefix(std::min(slash + 1, glob.size()));
  }
  if (!pattern.parts.empty() && pattern.parts.back() == "**") pattern.parts.emplace_back("*");
  pattern.literal = std::none_of(pattern.parts.begin(), pattern.parts.end(), config::is_glob);
  return pattern;
}

class Walk {
 public:
  Walk(const config::Source& source, const std::function<bool(const File&)>& leave_out)
      : exclude_(source.exclude), leave_out_(leave_out) {
    for (const std::string& glob : source.paths) patterns_.push_back(split(glob));
  }

  Listing run() {
    std::vector<State> states;
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      if (!patterns_[i].parts.empty()) add(states, {i, 0});
    }
    walk("", states, true);
    std::sort(listing_.files.begin(), listing_.files.end(),
              [](const File& a, const File& b) { return a.path < b.path; });
    for (const File& file : listing_.files) listing_.total_bytes += file.size;
    return std::move(listing_);
  }

 private:
  using Folders = std::map<std::string, std::vector<State>>;

  const std::string& part(State state) const { return patterns_[state.pattern].parts[state.part]; }
  bool last(State state) const { return state.part + 1 == patterns_[state.pattern].parts.size(); }

  void add(std::vector<State>& states, State state) const {
    if (std::find(states.begin(), states.end(), state) != states.end()) return;
    states.push_back(state);
    if (part(state) == "**") add(states, {state.pattern, state.part + 1});
  }

  // folder: "" is the root. named: the user wrote it out, it was not found by a wildcard.
  void walk(const std::string& folder, const std::vector<State>& states, bool named) {
    struct stat found;
    if (::stat(folder.empty() ? "/" : folder.c_str(), &found) != 0)
      return missing(folder, states, named, errno);
    chain_.emplace_back(found.st_dev, found.st_ino);
    Folders literal;
    std::set<std::string> named_files;  // each is taken once, however often it is named or matched
    bool wild = false;
    for (const State state : states) {
      if (config::is_glob(part(state))) {
        wild = true;
      } else if (last(state)) {
        const std::string path = folder + '/' + part(state);
        if (!excluded(state, path) && named_files.insert(part(state)).second)
          take(path, patterns_[state.pattern].literal);
      } else {
        add(literal[part(state)], {state.pattern, state.part + 1});
      }
    }
    Folders found_folders;
    if (wild) found_folders = read(folder, states, named_files);
    // A folder both named and found is entered once, with the states of both.
    for (auto& [name, next] : literal) {
      if (const auto both = found_folders.find(name); both != found_folders.end()) {
        for (const State state : both->second) add(next, state);
        found_folders.erase(both);
      }
      walk(fmt::format("{}/{}", folder, name), next, named);
    }
    for (const auto& [name, next] : found_folders) walk(fmt::format("{}/{}", folder, name), next, false);
    chain_.pop_back();
  }

  // Takes the files of a folder and returns the folders to continue with.
  Folders read(const std::string& folder, const std::vector<State>& states,
               const std::set<std::string>& taken) {
    Folders folders;
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.empty() ? "/" : folder.c_str()),
                                                  ::closedir);
    if (!dir) {
      skip(folder, "cannot list the folder", errno);
      return folders;
    }
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (is_system_folder(name)) continue;
      const std::string path = folder + '/' + std::string(name);
      std::vector<State> next;
      bool wanted = false;
      for (const State state : states) {
        if (excluded(state, path)) continue;
        if (part(state) == "**") {
          add(next, state);
        } else if (config::is_glob(part(state)) && config::glob_match_name(part(state), name)) {
          if (last(state)) {
            wanted = wanted || !is_side_file(name, part(state));
          } else {
            add(next, {state.pattern, state.part + 1});
          }
        } else if (config::is_glob(part(state)) && part(state) == name) {
          listing_.skipped.push_back({path, "a glob, whose [ ] stand for one character; write [[] for a ["});
        }
      }
      if (!next.empty() && is_folder(path, entry->d_type)) {
        folders.emplace(name, std::move(next));
      } else if (wanted && !taken.contains(std::string(name))) {
        take(path, false);
      }
    }
    if (errno != 0) skip(folder, "cannot list the folder", errno);
    return folders;
  }

  bool is_folder(const std::string& path, unsigned char type) {
    if (type == DT_DIR) return true;
    if (type != DT_LNK && type != DT_UNKNOWN) return false;
    struct stat found;
    if (::lstat(path.c_str(), &found) != 0 || S_ISDIR(found.st_mode)) return S_ISDIR(found.st_mode);
    if (!S_ISLNK(found.st_mode) || ::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return false;
    const std::pair<dev_t, ino_t> target(found.st_dev, found.st_ino);
    if (std::find(chain_.begin(), chain_.end(), target) == chain_.end()) return true;
    listing_.skipped.push_back({path, "a link back to a folder it is in"});
    return false;
  }

  void take(const std::string& path, bool named) {
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    if (is_unfinished_name(name)) {
      if (named) listing_.skipped.push_back({path, "the name of an unfinished file"});
      return;
    }
    struct stat found;
    if (::stat(path.c_str(), &found) != 0) return not_found(path, named, errno);
    if (S_ISREG(found.st_mode)) {
      File file = make_file(path, found);
      if (leave_out_ && leave_out_(file)) {
        listing_.left_out += 1;
      } else {
        listing_.files.push_back(std::move(file));
      }
    } else {
      listing_.skipped.push_back(
          {path, S_ISDIR(found.st_mode) ? "a folder, not a file" : "not a regular file"});
    }
  }

  // What a wildcard found and is gone a moment later was moved or deleted, unless it is a link to nothing.
  void not_found(const std::string& path, bool named, int error) {
    struct stat link;
    if (error == ENOENT && ::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode)) {
      listing_.skipped.push_back({path, "a link to nothing"});
    } else if (error != ENOENT && error != ENOTDIR) {
      skip(path, "cannot stat it", error);
    } else if (named) {
      listing_.skipped.push_back({path, "no such file"});
    }
  }

  void missing(const std::string& folder, const std::vector<State>& states, bool named, int error) {
    if (error != ENOENT && error != ENOTDIR) return skip(folder, "cannot stat the folder", error);
    if (!named) return;
    bool wild = false;
    for (const State state : states) {
      if (!patterns_[state.pattern].literal) {
        wild = true;
        continue;
      }
      std::string path = folder;
      for (std::size_t i = state.part; i < patterns_[state.pattern].parts.size(); ++i) {
        path += '/' + patterns_[state.pattern].parts[i];
      }
      listing_.skipped.push_back({path, "no such file"});
    }
    if (wild) listing_.skipped.push_back({folder, "no such folder"});
  }

  void skip(const std::string& path, std::string_view what, int error) {
    const std::string& shown = path.empty() ? "/" : path;
    if (fault_of(error) == Fault::kRetry) {
      listing_.fault = fmt::format("{}: {}: {}", shown, what, ::strerror(error));
    }
    listing_.skipped.push_back({shown, fmt::format("{}: {}", what, ::strerror(error))});
  }

  bool excluded(State state, std::string_view path) const {
    return config::is_excluded(exclude_, patterns_[state.pattern].root, path);
  }

  const std::vector<std::string>& exclude_;
  const std::function<bool(const File&)>& leave_out_;
  std::vector<Pattern> patterns_;
  std::vector<std::pair<dev_t, ino_t>> chain_;  // the folders from the root to here
  Listing listing_;
};

}  // namespace

Listing list_files(const config::Source& source, const std::function<bool(const File&)>& leave_out) {
  return Walk(source, leave_out).run();
}

}  // namespace leat::reader
