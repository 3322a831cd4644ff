// Which files there are: source.paths expanded, and whether the mount they should be on is there.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "workers/reader/file.h"

namespace leat::reader {

// Something a user may have expected to be read, and why it is not.
struct Skipped {
  std::string path;
  std::string reason;
};

struct Listing {
  std::vector<File> files;  // regular files (links to them included), by path in byte order, each path once
  std::uint64_t left_out = 0;  // those that `leave_out` did not want here
  std::vector<Skipped> skipped;
  std::uint64_t total_bytes = 0;  // of files, on disk
  // not empty: part of the listing is missing as the mount is unavailable (fault_of kRetry):
  // believe nothing of it and list again later
  std::string fault;
};

// source.paths: absolute globs as in config/glob.h; source.exclude: what of it is skipped. Wildcards and ** do not enter folders
// that begin with '.' or are the NAS's own, take no side files (names.h), and follow links to folders except back to a folder
// they are in. Names of unfinished files are skipped. All globs share one walk: every folder is read once. leave_out is asked
// once for each file, in no order: what it does not want takes no memory.
Listing list_files(const config::Source& source, const std::function<bool(const File&)>& leave_out = nullptr);

}  // namespace leat::reader
