// What a replay of dead letters has on the disk, and the steps between which it may be killed.
//
//   STATE/replay-RUN/    replay.json   what it is about
//                        replay-RUN.jsonl   the records, a line each: the source of the run
//                        kept.jsonl    what cannot be fed again: letters by reference, lines that are none
//                        dead.jsonl    the letters of the run
//                        ledger.db ... of the run: it is exactly once by itself, and continues where it was
//
// The dead-letter file is moved to FILE.replay-RUN and stays there. At the end kept.jsonl and dead.jsonl, told with their
// first origin, are appended to the dead-letter file. Both ends change a file whose length the pipeline's own ledger knows; so
// both are done under the run lock and the writer's lock, and make that ledger forget it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "proto/base/result.h"

namespace leat::replay {

struct Replay {
  std::string folder;
  std::string id;
  std::string dead_letter;  // where letters go in the end
  std::string aside;        // where the file is now
  std::string sink;         // the changed sink.path
  bool keep_rotate = true;
  std::uint64_t letters = 0;  // to be fed
  std::uint64_t kept = 0;

  std::string source() const { return folder + "/replay-" + id + ".jsonl"; }
  std::string kept_file() const { return folder + "/kept.jsonl"; }
  std::string dead_file() const { return folder + "/dead.jsonl"; }
};

// All with the run lock of `state` held. `pipeline`: its name.

// The replay that is not over; one that had not begun in earnest is undone, one that was nearly over is ended.
[[nodiscard]] Result<std::optional<Replay>> unfinished_replay(const std::string& state,
                                                              const std::string& pipeline);

// Takes the letters out of `file`. Of `replay` id, dead_letter, sink and keep_rotate are given. Nothing is changed when
// letters is 0 in the result. kFatal, 78: the file is in use; 66: there is none.
[[nodiscard]] Result<Replay> begin_replay(const std::string& state, const std::string& pipeline,
                                          const std::string& file, Replay replay);

// Precondition: all records have gone through. Returns how many letters are in the dead-letter file again.
[[nodiscard]] Result<std::uint64_t> end_replay(const std::string& state, const std::string& pipeline,
                                               const Replay& replay);

}  // namespace leat::replay
