// Reads the pipeline files of a folder without holding up whoever asks: a file may name others (in_file) on a mount that
// hangs, and then only that file is waited for, and not for ever.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon/cli/plan.h"
#include "workers/stage/fd.h"

namespace leat::leatd {

struct Candidate {
  std::string file;  // FOLDER/NAME.yaml
  cli::Plan plan;    // with problems when it cannot be used
};

class Loader {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  // Lists the folder and begins to read each *.yaml and *.yml in it, in threads of their own that nobody waits for.
  explicit Loader(const std::string& folder);

  int fd() const { return changed_.get(); }  // readable when a file has been read
  // All have been read, or the patience is over: then what is missing is a candidate with that as its problem. Sorted by file.
  bool done() const;
  std::vector<Candidate> take();
  const std::string& trouble() const { return trouble_; }  // why the folder cannot be listed; empty: it can

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  stage::Fd changed_;
  std::vector<std::string> files_;
  std::string trouble_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

// Problems that one file alone does not have: a name or a target that another one has too, what leatd does not run. The first
// of the files in their order keeps it.
void check_together(std::vector<Candidate>& candidates);

}  // namespace leat::leatd
