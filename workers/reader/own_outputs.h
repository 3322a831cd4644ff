// Files that are outputs of this very pipeline, found through another name of their folder: a link, a bind mount. Reading
// them would never end.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace leat::reader {

class OwnOutputs {
 public:
  // sinks: absolute paths, with placeholders.
  explicit OwnOutputs(const std::vector<std::string>& sinks);
  // Of a file that was found. Folders are checked once, while files of one come one after another.
  bool holds(const std::string& path);

 private:
  struct Sink {
    std::string path;
    std::string folder;                  // before its first placeholder
    std::optional<std::string> seen_as;  // what the last folder is called below that one
  };
  std::vector<Sink> sinks_;
  std::string folder_;  // the last one
};

}  // namespace leat::reader
