// What `leat explain` and `leat check` learn from the workers' programs: the one JSON object, in a line, that
// `leat-reader --list FILE` and `leat-filter --describe FILE` print.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/fields.h"

namespace leat::proto {

// The files that match now, as the reader sees them (it alone reads source paths).
struct Listing {
  struct File {
    std::string path;
    std::uint64_t bytes = 0;  // on disk
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("path", self.path, "bytes", self.bytes);
    }
  };
  // Something a user may have expected to be read, and why it is not.
  struct Skipped {
    std::string path;
    std::string reason;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("path", self.path, "reason", self.reason);
    }
  };
  std::vector<File> files;
  std::vector<Skipped> skipped;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("files", self.files, "skipped", self.skipped);
  }
};

// The predicates in the order in which the filter tries them.
struct FilterPlan {
  std::vector<std::string> predicates;
  std::uint64_t sets_bytes = 0;  // of in_file and not_in_file, in memory
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("predicates", self.predicates, "sets_bytes", self.sets_bytes);
  }
};

}  // namespace leat::proto
