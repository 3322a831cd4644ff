// What a run has come to: the details of the writer's last report, one JSON object (PROTOCOL.md), and the counts of
// `leat run --json`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/base/fields.h"

namespace leat::proto {

struct RunSummary {
  struct Output {
    std::string path;
    std::uint64_t bytes = 0;          // on disk
    std::uint64_t records_bytes = 0;  // uncompressed
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("path", self.path, "bytes", self.bytes, "records_bytes", self.records_bytes);
    }
  };
  struct DeadLetters {
    std::string path;  // empty: none are kept
    std::uint64_t records = 0;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("path", self.path, "records", self.records);
    }
  };
  struct Problem {
    std::string path;
    std::uint64_t offset = 0;  // up to here its records were used
    std::string reason;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("path", self.path, "offset", self.offset, "reason", self.reason);
    }
  };
  struct Sources {
    std::uint64_t done = 0;
    std::uint64_t done_before = 0;   // that match and were done before the run
    std::int64_t last_done_s = 0;    // when one was done last, Unix time; 0: never
    std::uint64_t failed_count = 0;  // these two may be more than the lists hold
    std::uint64_t changed_count = 0;
    std::vector<Problem> failed;
    std::vector<Problem> changed;
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("done", self.done, "done_before", self.done_before, "last_done_s", self.last_done_s);
      archive("failed_count", self.failed_count, "changed_count", self.changed_count);
      archive("failed", self.failed, "changed", self.changed);
    }
  };
  bool stopped = false;
  bool resumed = false;                                   // it continued with sources of an earlier run
  std::uint64_t in = 0, kept = 0, dropped = 0, dead = 0;  // input records
  std::uint64_t out = 0, out_bytes = 0;                   // output records
  std::uint64_t outputs_count = 0;                        // published in it
  std::uint64_t outputs_empty = 0;                        // of these, without a record
  std::vector<Output> outputs;                            // the first of them
  DeadLetters dead_letter;
  Sources sources;

  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("stopped", self.stopped, "resumed", self.resumed);
    archive("in", self.in, "kept", self.kept, "dropped", self.dropped, "dead", self.dead);
    archive("out", self.out, "out_bytes", self.out_bytes);
    archive("outputs_count", self.outputs_count, "outputs_empty", self.outputs_empty, "outputs",
            self.outputs);
    archive("dead_letter", self.dead_letter, "sources", self.sources);
  }
};

inline constexpr std::size_t kOutputsListed = 1000;  // the report has a cap (proto/control.h)
inline constexpr std::size_t kProblemsListed = 100;  // of each kind

}  // namespace leat::proto
