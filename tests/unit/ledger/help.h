// A state folder of a test's own, and rows to put into its ledger.
#pragma once

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "tests/unit/folder.h"
#include "workers/ledger/ledger.h"

namespace leat::ledger::test {

class StateFolder : public leat::test::Folder {
 public:
  const std::string& path() const { return root(); }
  std::string file() const { return root() + "/ledger.db"; }
};

template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline Ledger open(const StateFolder& folder, const std::string& pipeline = "reviews") {
  return value(Ledger::open(folder.path(), pipeline));
}

inline View view_of(const StateFolder& folder) {
  auto view = value(View::open(folder.path()));
  if (!view) throw std::runtime_error("no ledger");
  return *std::move(view);
}

// Every field has a value of its own.
inline Source sample(std::uint64_t id, std::string path, SourceState state = SourceState::kReading) {
  Source source;
  source.id = id;
  source.path = std::move(path);
  source.size = 1000 + id;
  source.mtime_ns = 1'700'000'000'123'456'789;
  source.head_hash = 0xFEDCBA9876543210;
  source.head_bytes = 65536;
  source.state = state;
  source.place = {3, 400, 50, 60, 0x8000000000000007, 80, true};
  source.counts = {10, 5, 3, 2, 6, 1, 777};
  source.reason = state == SourceState::kFailed ? "damaged" : "";
  source.run = "run-1";
  return source;
}

inline Output sample_output(std::string target, OutputState state = OutputState::kWriting) {
  Output output;
  output.target = std::move(target);
  output.temporary = output.target + ".tmp";
  output.source = 4;
  output.n = 7;
  output.state = state;
  output.length = 123;
  output.record_bytes = 456;
  output.run = "run-1";
  return output;
}

// Commits in the last epoch.
inline void put(Ledger& ledger, std::vector<Source> sources, std::vector<Output*> outputs = {}) {
  Commit commit;
  commit.epoch = value(ledger.view().epoch());
  commit.sources = std::move(sources);
  commit.outputs = std::move(outputs);
  value(ledger.commit(commit));
}

}  // namespace leat::ledger::test
