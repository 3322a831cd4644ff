// Decides what follows from the death of a worker that was started here: another one after a pause, or the end of the run.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/supervisor/job.h"

namespace leat::supervisor {

// What dies is replaced alone; reader and writer take all others with them.
inline bool dies_alone(proto::Stage stage) {
  return stage == proto::Stage::kFilter || stage == proto::Stage::kProcessor;
}

// Something that a run waits for: it may work again.
struct Outage {
  std::optional<std::chrono::steady_clock::time_point> since;
  std::string fault;
  std::uint64_t progress = 0;  // at its begin
};

struct Death {
  proto::Stage stage = proto::Stage::kReader;
  int exit_code = -1;    // -1: by a signal
  std::string obituary;  // whole sentences
  std::string retry;     // why it failed, if it said that another try may have more luck
  std::chrono::steady_clock::time_point now{};
};

struct Verdict {
  int exit_code = kExitOk;  // any other: the run ends with it, and for that reason
  std::string_view event;   // to be warned of; empty: known already
  std::string text;
  std::chrono::milliseconds pause{0};  // before another one is started
};

// What is remembered of workers that died: how many of a stage in a row, and at which records.
class Deaths {
 public:
  // So many of one stage without progress between them end the run.
  static constexpr int kMostInARow = 10;
  // So many at one record make it a dead letter. Two could be chance (random kills, short memory): the
  // page names the record exactly, so a third time at the very same one is not.
  static constexpr int kMostAtARecord = 3;

  // progress: any number that grows when something was committed or a record quarantined.
  int in_a_row(proto::Stage stage, std::uint64_t progress) {
    Row& row = rows_[static_cast<std::size_t>(stage)];
    if (row.progress != progress) row = {progress, 0};
    return ++row.deaths;
  }

  // How long the next worker is held back after so many deaths in a row: not at all the first time.
  static std::chrono::milliseconds pause(int in_a_row) {
    constexpr int kFirst = 50;
    constexpr int kLongest = 2'000;
    if (in_a_row <= 1) return std::chrono::milliseconds(0);
    return std::chrono::milliseconds(std::min(kLongest, kFirst << std::min(in_a_row - 2, 10)));
  }

  // Another one at that record. True: it has killed kMostAtARecord, and is forgotten.
  bool at_record(std::uint64_t source, std::uint64_t offset) {
    constexpr std::size_t kMostRecords = 10'000;
    if (records_.size() > kMostRecords) records_.clear();
    if (++records_[{source, offset}] < kMostAtARecord) return false;
    records_.erase({source, offset});
    return true;
  }
  // Deaths at records that were committed long ago: they will not be met again.
  void forget_records() { records_.clear(); }

 private:
  struct Row {
    std::uint64_t progress = 0;
    int deaths = 0;
  };
  std::array<Row, 5> rows_;  // by Stage
  std::map<std::pair<std::uint64_t, std::uint64_t>, int> records_;
};

class Judgement {
 public:
  explicit Judgement(const Job& job) : job_(job) {}

  Verdict judge(const Death& death);
  // A worker died at that record. True: as Deaths::kMostAtARecord have, it becomes a dead letter.
  bool blame(std::uint64_t source, std::uint64_t offset) {
    const bool kills = deaths_.at_record(source, offset);
    quarantined_ += kills ? 1 : 0;
    return kills;
  }
  // Why the run ends, as that has lasted for longer than source.give_up; empty: it does not.
  std::string given_up(const Outage& outage, std::chrono::steady_clock::time_point now) const;

  Outage& sink() { return sink_; }
  const Outage& sink() const { return sink_; }

  // Grows with whatever shows that the run gets on. commits: of this writer, up to now.
  void saw_commits(std::uint64_t commits) { commits_ = commits; }
  std::uint64_t progress() const { return commits_before_ + commits_ + quarantined_; }
  // Another writer. A source that is not committed yet may get another number: a record that kills is found again.
  void start_over() {
    commits_before_ += std::exchange(commits_, 0);
    deaths_.forget_records();
  }

 private:
  Verdict without_program(const Death& death);
  Verdict without_sink(const Death& death);

  const Job& job_;
  Deaths deaths_;
  Outage sink_;      // the writer's sink is unavailable
  Outage programs_;  // a filter or processor is unable to do its work
  std::uint64_t commits_before_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t quarantined_ = 0;  // records that became dead letters as they had killed
};

}  // namespace leat::supervisor
