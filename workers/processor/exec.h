// The `exec` step: records go through a program of the user's, one JSON line in, one line out.
//
// The protocol, for the author of that program:
//   - It is started once and runs as long as the processor, in the pipeline file's folder.
//   - Each line of its stdin is one record, JSON in UTF-8. Read until end of input, then exit.
//   - For each line it prints exactly one line, in the same order:
//       {...}                 the new record
//       null                  the record is dropped
//       [{...}, {...}]        several records, in this order; [] drops; other members make it a dead letter
//       {"leat_error": "..."} the record is a dead letter with this reason (leat_error must be the first member)
//     Anything else is junk: another value, no JSON, an empty line, a line too many.
//     An answer that is longer than a record's results may be (config/budget.h) is read to its end, and makes the
//     record a dead letter; one of eight times that is junk.
//   - Records are written ahead, so it is never idle. It should flush after each line (Python: flush=True).
//   - stderr is free for messages; they go to the processor's, 64 KiB in 10 s at most.
//
// What happens to a program that misbehaves:
//   - It buffers its output: with nothing more to give it and answers missing for 1 s, its stdin is closed, the rest
//     is taken, and a new one is started when needed. Warned about once. habit.h learns which programs need this.
//   - It exits, is killed, gives no answer for `timeout` (counted from the last answer or the writing of the record,
//     and with it the start of the program), or prints junk: it is killed with all it started, and what it has not
//     answered is sent to a new one. The record that it was at is tried alone; the second death there makes it
//     a dead letter.
//   - It prints fewer lines than it got records and exits with 0, or more: answers are told from each other by nothing but their
//     number, so none of the run is believed. Its records are sent again one at a time, each to a child of its own whose
//     stdin ends behind it. A program that still answers with no line or with several ends the run (78).
//   - It dies again and again without one answer (10 times; 64 if it has ever answered): the run ends.
// Killed by chance it costs no record; its side effects are at least once.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "config/pipeline.h"
#include "proto/base/result.h"
#include "proto/buffer.h"
#include "workers/processor/answer.h"
#include "workers/processor/child.h"
#include "workers/processor/habit.h"

namespace leat::processor {

struct ExecResult {
  enum class Kind : std::uint8_t { kRecords, kDropped, kRejected };
  Kind kind = Kind::kDropped;
  std::string_view bytes = {};   // kRecords: JSON objects, one a line, each line ended by '\n'
  std::uint32_t records = 0;     // kRecords: how many
  std::string_view reason = {};  // kRejected: for the dead letter, UTF-8
  int attempts = 1;              // how often it was tried, not counting the times another record was to blame
};

class Exec {
 public:
  // False: there is no room for it, nor for those behind it.
  using OnResult = std::function<bool(std::size_t index, const ExecResult&)>;
  using OnWarning = std::function<void(const std::string&)>;
  // at_hand: one record is left, and it is tried for the first time.
  using ShouldStop = std::function<bool(bool at_hand)>;

  // step: an exec step. Starts nothing yet. Ignores SIGPIPE for the whole process from here on.
  Exec(const config::Step& step, std::string working_dir, std::uint64_t max_result_bytes,
       OnWarning on_warning);
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;
  ~Exec();  // closes the child's stdin, gives it a second, kills it

  // Starts the child if there is none, to find a command that cannot be run before the first record. Fails
  // with kFatal, exit code 78 (no such command), or kRetry (no processes or descriptors left).
  [[nodiscard]] Result<void> start();

  // Sends the records (JSON, one line each without its '\n') through the child and calls on_result exactly
  // once for each, in order, until it says that there is no more room; what it is given lives for the call. Only so much is
  // written ahead that the answers should fit into room_bytes, as far as is known; answers that come all the same are read
  // and forgotten, so that the child lives on. Fails as start() does, with kFatal (78)
  // when the child only ever dies, with kRetry (75) when should_stop says so (asked every 50 ms at least;
  // may be empty). After a failure the results that were given are void. kReject: lines and records do not match in number; run()
  // with the same records sends them one at a time, and fails with kFatal (78) when that is what the program does.
  [[nodiscard]] Result<void> run(std::span<const std::string_view> records, std::size_t room_bytes,
                                 const OnResult& on_result, const ShouldStop& should_stop = {});

  pid_t pid() const { return child_ ? child_->pid() : -1; }  // -1: no child at the moment
  std::uint64_t restarts() const { return restarts_; }       // children that died or were killed

 private:
  using Clock = std::chrono::steady_clock;
  using milliseconds = std::chrono::milliseconds;
  // The end of a child and why. An empty reason: it lives.
  struct Death {
    std::string reason = {};  // for a dead letter
    std::string logged = {};  // the same without what may be part of a record
    bool miscounted = false;  // what it answered cannot be told from what it did not
  };

  std::string_view line(std::size_t index) const;
  bool has_unanswered() const { return written_ > answered_ || offset_ > 0; }
  bool may_be_written(std::size_t bytes, std::size_t unanswered) const;
  bool suspecting() const { return answered_ < suspects_end_; }
  bool may_write() const;
  milliseconds silence_allowed() const;
  milliseconds time_left() const;
  void pick_group();
  void wait();
  Death death(std::string_view what) const;
  Death miscounted(std::string_view what) const;
  void suspect_all();
  bool counts_groups() const { return one_by_one_ || exits_after_ > 0; }
  Death write_some();
  Death read_some();
  Death take_lines(std::size_t complete);
  Death skip_line();
  void forget(std::size_t bytes);
  void refuse_answer(std::size_t bytes);
  void take_answer(ExecResult result);
  Death end_of_output();
  Death end_after(std::string_view closed);
  Death check_deadlines();
  void close_in(bool for_silence);
  void give(ExecResult result);
  Result<void> bury(const Death& death);
  Error miscount(const Death& death);
  bool is_idle() const;
  Death wait_for_surplus();
  void discard_child();

  const config::Step step_;
  const std::string name_;  // "exec python3", in front of every message
  const std::string working_dir_;
  const std::uint64_t max_line_bytes_;
  const OnWarning on_warning_;

  std::unique_ptr<Child> child_;
  Habit habit_;
  AnswerReader reader_;
  Buffer in_;                // what was read and is not a whole line yet
  std::size_t skipped_ = 0;  // bytes of a line that is too long, read and forgotten so far; 0: there is none
  double growth_ = 1;        // of a record into its answer, of the last ones
  std::size_t fresh_bytes_ = 0;  // read since stdout was last found empty
  std::size_t fresh_answers_ = 0;
  bool closed_ = false;     // its stdin, by us
  bool listening_ = false;  // its stdin was closed for its silence: is that what makes it speak?
  bool overdue_ = false;    // its stdin was closed because its time is up
  Clock::time_point now_;   // as of the last wait()
  Clock::time_point closed_at_;
  Clock::time_point progress_at_;  // the timeout counts from here
  Clock::time_point active_at_;    // silence counts from here

  // This run. Records [answered_, written_) are unanswered; offset_ bytes of record written_ are in the pipe too.
  std::span<const std::string_view> records_;
  const OnResult* on_result_ = nullptr;
  bool full_ = false;  // there is no room for what is unanswered: it is read and forgotten
  // for answers to what is not written yet, if all that is unanswered grows as expected
  std::size_t room_ = 0;
  std::size_t answered_ = 0;
  std::size_t written_ = 0;
  std::size_t offset_ = 0;
  std::size_t unanswered_bytes_ = 0;
  std::size_t group_end_ = 0;     // nothing behind this is written before all in front of it is answered
  std::size_t suspects_end_ = 0;  // one of the records in front of this may be a killer
  std::size_t group_size_ = 0;    // while there are suspects
  bool group_closes_ = false;     // each group of suspects ends with stdin closed
  int blamed_ = 0;                // deaths at record answered_
  int deaths_ = 0;                // since the last answer
  bool ever_answered_ = false, warned_of_buffering_ = false;
  std::uint64_t restarts_ = 0;
  bool one_by_one_ = false;  // a child for each record
  std::size_t child_answers_ = 0;
  std::size_t exits_after_ =
      0;            // answers: a child gets no more records, and is counted at its end; 0: it does not
  int silent_ = 0;  // children of this run that had one record and exited without a line
};

}  // namespace leat::processor
