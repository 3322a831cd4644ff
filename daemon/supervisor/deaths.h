// What is remembered of workers that died: how many of a stage in a row, and at which records.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "proto/batch.h"

namespace leat::supervisor {

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

  int at_record(std::uint64_t source, std::uint64_t offset) { return ++records_[{source, offset}]; }
  void forget_record(std::uint64_t source, std::uint64_t offset) { records_.erase({source, offset}); }
  std::size_t records() const { return records_.size(); }
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

}  // namespace leat::supervisor
