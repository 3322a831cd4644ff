// The commands of leat, after the command line has been read. Each returns the program's exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/plan/state.h"
#include "proto/base/result.h"
#include "proto/dead_letter.h"

namespace leat::cli {

// Prints "leat: " and the error as one printable line, and gives its exit code.
int fail_with(const Error& error);

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

// runtime_dir in these: of the leatd to ask; empty: $LEAT_RUNTIME_DIR or /run/leat.
struct SourcesOptions {
  plan::StateOf of;          // or the name of a pipeline of leatd
  std::string state_filter;  // empty: all
  bool json = false;
  std::string runtime_dir;
};
int sources(const SourcesOptions& options);

struct StatusOptions {
  plan::StateOf of;  // or the name of a pipeline of leatd, or nothing: all of them
  bool json = false;
  std::string runtime_dir;
};
int status(const StatusOptions& options);

struct DeadOptions {
  bool show = false;         // one of them, else all
  std::string from;          // a pipeline, a dead-letter file, or the name of a pipeline of leatd
  std::uint64_t number = 0;  // show: which one, from 1
  bool record_only = false;  // show: the record's bytes alone
  bool json = false;
  std::string runtime_dir;
};
int dead(const DeadOptions& options);
// Lines of `leat dead ls`; exposed for tests.
std::string letter_header();
std::string letter_line(std::uint64_t number, const proto::DeadLetter& letter);

struct ReplayOptions {
  RunOptions run;      // pipeline, state, force, accept_changes, json, quiet, runtime_dir
  std::string file;    // empty: dead_letter.path
  std::string output;  // empty: as sink.path says
};
int replay(const ReplayOptions& options);

// Something that leatd is to do.
struct ChangeOptions {
  std::string command;                   // scale, pause, resume, drain, stop or reload
  std::string pipeline;                  // its name; empty for reload, and with `all`
  bool all = false;                      // every pipeline that leatd has
  std::optional<std::uint32_t> workers;  // scale: of processors; none: leatd decides
  bool json = false;
  std::string runtime_dir;
};
int change(const ChangeOptions& options);

// for_service: as leatd's unit would run them.
int check(const std::vector<std::string>& pipelines, bool for_service, bool json);
int explain(const std::string& pipeline, bool json, bool sandbox);

}  // namespace leat::cli
