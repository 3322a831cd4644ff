// A ledger in a folder of its own, and the commits that the writer's stage would do for a sink.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "tests/unit/writer/folder.h"
#include "workers/ledger/ledger.h"
#include "workers/writer/sink.h"

namespace leat::test {

class Desk {
 public:
  Folder folder;  // of the outputs
  Folder state;
  std::optional<ledger::Ledger> ledger;
  std::uint64_t epoch = 0;

  Desk() { restart(); }
  // Another writer, after the one before was killed.
  void restart() {
    ledger.reset();
    auto opened = ledger::Ledger::open(state.root(), "p");
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().text));
    ledger.emplace(std::move(*opened));
    auto begun = ledger->begin_epoch("run");
    REQUIRE(begun);
    epoch = *begun;
  }
  std::string path(std::string_view name) const { return folder.path(name); }

  void add_source(std::uint64_t id, const std::string& path, std::uint64_t offset = 1) {
    ledger::Commit commit;
    commit.epoch = epoch;
    ledger::Source source;
    source.id = id;
    source.path = path;
    source.place.offset = offset;
    commit.sources.push_back(source);
    REQUIRE(ledger->commit(commit));
  }

  // The first half of a commit: all but the names.
  void commit_only(writer::Sink& sink) {
    ledger::Commit commit;
    commit.epoch = epoch;
    REQUIRE(sink.prepare(commit));
    REQUIRE(ledger->commit(commit));
  }
  Result<void> commit(writer::Sink& sink) {
    commit_only(sink);
    return sink.committed();
  }
  Result<void> finish(writer::Sink& sink) {
    if (auto finished = sink.finish(); !finished) return finished;
    if (auto committed = commit(sink); !committed) return committed;
    return commit(sink);
  }
  std::vector<ledger::Output> unfinished() { return *ledger->view().unfinished_outputs(); }
};

}  // namespace leat::test
