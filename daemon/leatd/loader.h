// Reads the pipeline files of a folder without holding up whoever asks: a file may name others (in_file) on a mount that
// hangs, and then only that file is waited for, and not for ever.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon/plan/plan.h"
#include "proto/base/fd.h"

namespace leat::leatd {

class Loader {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  // Lists the folder and begins to read each *.yaml and *.yml in it, in threads of their own that are not waited for.
  explicit Loader(const std::string& folder);

  int fd() const { return changed_.get(); }  // readable when a file has been read
  // All have been read, or the patience is over: then what is missing is a candidate with that as its problem. Sorted by file.
  bool done() const;
  std::vector<plan::Candidate> take();
  const std::string& error() const { return error_; }  // why the folder cannot be listed; empty: it can

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  Fd changed_;
  std::vector<std::string> files_;
  std::string error_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// A pipeline of leatd never ends, so one output for everything would never be done: that is a problem of the file.
void refuse_what_ends(std::vector<plan::Candidate>& candidates);

}  // namespace leat::leatd
