// For tests of what happens when a record kills or is slow: does nothing unless LEAT_TEST_HOOKS is set in the worker's
// environment. Then a record that holds "leat_test":"WHAT" gets in the ROLE it names
//   "ROLE segfault", "ROLE abort", "ROLE loop" (for ever)
//   "ROLE open PATH", "ROLE see PATH" (stat), "ROLE connect ADDRESS:PORT", "ROLE write PATH" (opens for writing), "ROLE make
//   PATH", "ROLE remove PATH", "ROLE run PATH" (execve), "ROLE trace parent": tries it, and says on stderr what came of it;
//   /parent/ in a path is the process that started the worker. In the reader and the writer one a batch.
//   "ROLE lose": the batch that holds it gets lost, whenever it comes
// and every record takes LEAT_TEST_FILTER_US or LEAT_TEST_PROCESSOR_US microseconds longer. LEAT_TEST_FILTER_LOSES=N or
// LEAT_TEST_PROCESSOR_LOSES=N: the N-th batch of each such worker gets lost. LEAT_TEST_PROCESSOR_OWES=1: it returns no credits. LEAT_TEST_DAY_MS: how long a
// day is. LEAT_TEST_NO_PROGRESS_MS: how long nothing may move.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/batch.h"

namespace leat::stage {

class TestHook {
 public:
  // Reads the environment.
  explicit TestHook(proto::Stage role);
  TestHook() = default;

  void on_record(std::string_view record) const {
    if (on_) [[unlikely]]
      act(record);
  }

  // Is the batch at hand, with these records, to get lost?
  bool loses_batch(std::string_view records);
  // Are its credits?
  bool withholds_credits() const { return on_ && withholds_credits_; }

 private:
  void act(std::string_view record) const;

  bool on_ = false;
  std::string role_;
  std::uint64_t sleep_us_ = 0;
  std::uint64_t loses_ = 0;
  bool withholds_credits_ = false;
};

// 24 h.
std::chrono::milliseconds day();
// A minute.
std::chrono::milliseconds no_progress();

}  // namespace leat::stage
