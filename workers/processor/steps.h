// The transform of one record: every kind of step but exec, in order, each on the result of the one before.
//
// What no step touches leaves as it came, byte for byte. Where a rule leaves a choice, this was chosen:
// - A step on a field that is missing, or of a type it cannot work on, does nothing and counts as a miss of
// that step;
//   so does a target below a scalar, or in an array at an index that is neither there nor one past the last.
// - set, default, rename, copy, length and hash make the parents that their target lacks: objects, but an
// array
//   where "-" follows. set and the others replace an existing target where it stands, and append a new one.
// - default sets only what is missing; null is not missing. rename to the same name does nothing.
// - A rename within one object keeps the member's position. A rename into the field itself is a miss.
// - drop and keep read all their pointers before they change anything: drop: [/a/0, /a/1] drops the first
// two. What
//   is left of keep are the named fields that exist, and what they are in.
// - Of duplicate keys the first counts; a member that is written to or moved loses its shadowed duplicates.
// drop
//   removes all, those of parents included.
// - hash takes the decoded bytes of a string, or any other value as it is written in the record.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/buffer.h"
#include "workers/processor/splice.h"

namespace leat::processor {

class Steps {
 public:
  // Fails (kFatal, exit 78) on a pattern or rewrite that RE2 does not take. There must be no exec step.
  // max_result_bytes: a record that would be longer, or have a value that is, is a dead letter.
  [[nodiscard]] static Result<Steps> compile(
      std::span<const config::Step> steps,
      std::size_t max_result_bytes = std::numeric_limits<std::size_t>::max());
  Steps(Steps&&) noexcept;
  Steps& operator=(Steps&&) noexcept;
  ~Steps();

  // Appends what the steps make of the record text[begin, end), without a newline. The record was checked to
  // be JSON; anything else is safe, but the result is only as good. text has kTailPadding readable bytes
  // behind it; positions are the structural ones of this record alone (workers/stage/json/index.h), offsets
  // into text. False: a dead letter, `reason` says why and out is as it was.
  [[nodiscard]] bool apply(std::string_view text, std::uint32_t begin, std::uint32_t end,
                           std::span<const std::uint32_t> positions, Buffer& out, std::string& reason);

  // How many times each step found nothing to work on, since the start; one more for each of its fields.
  std::span<const std::uint64_t> misses() const { return misses_; }

 private:
  struct Step;

  Steps();
  std::uint64_t run(Step& step);
  bool is_over() const { return over_ > 0 || splice_.over() > 0; }
  bool rename(const Step& step, std::size_t move);
  bool put(const Path& to, std::string_view json);
  bool length(const Step& step);
  bool truncate(const Step& step);
  bool replace(const Step& step);
  bool replace_all(const Step& step, std::string_view text);
  bool hash(Step& step);

  std::vector<Step> steps_;
  std::vector<std::uint64_t> misses_;
  Splice splice_;
  std::string decoded_;
  std::string replaced_;
  std::size_t max_result_bytes_ = 0;
  std::size_t over_ = 0;  // bytes of a value that a step would have made; 0: none was over the bound
};

}  // namespace leat::processor
