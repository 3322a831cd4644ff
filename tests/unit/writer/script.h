// A reader and filters for the writer's stage: sources whose every line is known, dealt out in batches from where the
// ledger says that they continue.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proto/batch.h"
#include "proto/source_event.h"
#include "workers/ledger/ledger.h"

namespace leat::test {

// What a line becomes, by its number from 1.
enum class Fate : std::uint8_t { kKept, kDropped, kDead };
Fate fate_of(std::uint64_t line);

struct Input {
  std::string path;
  std::uint64_t lines = 0;
  std::string line(std::uint64_t number) const;  // with its newline
  std::string kept() const;                      // all lines that are
};

// One batch, as it reaches the writer. Sequence numbers continue by themselves.
class Script {
 public:
  explicit Script(std::uint64_t epoch) : epoch_(epoch) {}

  proto::Batch opened(std::uint64_t id, const Input& input, std::uint64_t lines_before = 0);
  // Lines `first` to `last`.
  proto::Batch records(std::uint64_t id, const Input& input, std::uint64_t first, std::uint64_t last);
  proto::Batch ended(std::uint64_t id, const Input& input);
  proto::Batch event(std::uint64_t id, const proto::SourceEvent& event, const Input* at = nullptr,
                     std::uint64_t lines_before = 0);
  proto::Batch end_of_input(bool stopped = false, std::uint64_t done = 0);

 private:
  proto::Header header(proto::BatchKind kind, std::uint64_t id);
  void set_place(proto::Header& header, const Input& input, std::uint64_t lines) const;

  std::uint64_t epoch_;
  std::uint64_t sequence_ = 0;
};

// The whole input, from where the ledger is, `batch_lines` at a time, to its end. `take` returns false to stop.
void play(ledger::View& view, std::uint64_t epoch, const std::vector<Input>& inputs,
          std::uint64_t batch_lines, const std::function<bool(const proto::Batch&)>& take);

}  // namespace leat::test
