// Where limits.memory goes, worked out before anything runs: for `leat check`, `leat explain` and the
// supervisor.
//
//   base     3 MiB for the supervisor and for every worker process: private memory (PSS) of such a program
//   with its
//            libraries, sockets and buffers is about 2.5 MiB. Children of exec steps are the user's, not
//            counted.
//   codec    reading zstd: limits.zstd_window + 1 MiB, unless source.compression says that there is none
//            reading gzip: 64 KiB (32 KiB of window, inflate's state)
//            writing zstd: by level, ZSTD_estimateCStreamSize of libzstd 1.5.4; with threads, for each of
//            them one such context, and 4 + 2 x threads jobs of four windows each: an upper bound of what
//            ZSTD_sizeof_CCtx says for levels 1, 3, 9, 15, 19 with 1, 2, 4 threads writing gzip: 320 KiB
//            (deflate: 256 KiB by zlib's zconf.h, and an output buffer)
//   sets     3 x the size of the files behind in_file and not_in_file, in every filter worker
//   window   a quarter of the rest, as a batch in flight exists up to four times: the reader's copy, the
//   kernel's
//            socket buffers, a stage's input and its output
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"

namespace leat::config {

inline constexpr int kMinWindowBatches = 2;
inline constexpr int kMaxWindowBatches = 64;

struct Budget {
  std::uint64_t base_bytes = 0;
  std::uint64_t codec_bytes = 0;
  std::uint64_t sets_bytes = 0;
  std::uint64_t window_bytes = 0;  // what may be between reader and writer
  int window_batches = 0;          // of limits.batch each; kMinWindowBatches..kMaxWindowBatches
};

// in_file_bytes: what the files of in_files() have on disk together. Fails with kFatal, exit code 78, when
// fewer than two batches fit: the text names limits.memory, the value that would do, and the processors.
// Without `processors` the budget is for the most that there may be, process.workers.max; with it, for so many,
// whoever has started them.
[[nodiscard]] Result<Budget> plan_budget(const Pipeline& pipeline, std::uint64_t in_file_bytes);
[[nodiscard]] Result<Budget> plan_budget(const Pipeline& pipeline, std::uint64_t in_file_bytes,
                                         int processors);

// What one record may become, all its results together: a record that would be more is a dead letter.
inline std::uint64_t max_result_bytes(const Pipeline& pipeline) {
  return std::max<std::uint64_t>(pipeline.source.max_record_bytes, 16 * kMiB);
}

// The absolute paths behind in_file and not_in_file, each once, sorted.
std::vector<std::string> in_files(const Pipeline& pipeline);

}  // namespace leat::config
