// The commands of leat, after the command line has been read. Each returns the program's exit code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/cli/state.h"

namespace leat::cli {

struct RunOptions {
  std::string pipeline;
  bool follow = false;
  bool force = false;
  bool strict = false;
  bool json = false;
  bool quiet = false;
  bool fresh = false;
  bool accept_changes = false;
  std::vector<std::string> reread;
  std::string state;        // empty: the default
  std::string runtime_dir;  // empty: the default
};
int run(const RunOptions& options);

struct SourcesOptions {
  StateOf of;
  std::string state_filter;  // empty: all
  bool json = false;
};
int sources(const SourcesOptions& options);

struct StatusOptions {
  StateOf of;
  bool json = false;
};
int status(const StatusOptions& options);

struct DeadOptions {
  bool show = false;         // one of them, else all
  std::string from;          // a pipeline, or a dead-letter file
  std::uint64_t number = 0;  // show: which one, from 1
  bool record_only = false;  // show: the record's bytes alone
  bool json = false;
};
int dead(const DeadOptions& options);

struct ReplayOptions {
  RunOptions run;      // pipeline, state, force, accept_changes, json, quiet, runtime_dir
  std::string file;    // empty: dead_letter.path
  std::string output;  // empty: as sink.path says
};
int replay(const ReplayOptions& options);

int check(const std::vector<std::string>& pipelines, bool json);
int explain(const std::string& pipeline, bool json);

}  // namespace leat::cli
