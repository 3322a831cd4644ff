// The commands of leat, after the command line has been read. Each returns the program's exit code.
#pragma once

#include <string>
#include <vector>

namespace leat::cli {

struct RunOptions {
  std::string pipeline;
  bool follow = false;
  bool force = false;
  bool strict = false;
  bool json = false;
  bool quiet = false;
  std::string runtime_dir;  // empty: the default
};
int run(const RunOptions& options);

int check(const std::vector<std::string>& pipelines, bool json);
int explain(const std::string& pipeline, bool json);

}  // namespace leat::cli
