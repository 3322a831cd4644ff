// A pipeline with a state folder, and its writers one after the other.
#pragma once

#include <doctest/doctest.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/unit/writer/folder.h"
#include "tests/unit/writer/script.h"
#include "workers/writer/stage.h"

namespace leat::test {

inline const Input kA{"/in/a.jsonl", 20};
inline const Input kB{"/in/b.jsonl", 33};

struct Writer {
  Folder folder;
  Folder state;
  config::Pipeline pipeline;
  std::optional<ledger::Ledger> ledger;
  std::optional<writer::WriterStage> stage;
  std::uint64_t epoch = 0;
  std::vector<std::string> warnings;

  explicit Writer(std::string_view sink, std::string_view dead = "dead") {
    pipeline.name = "p";
    pipeline.sink.path = folder.path(sink);
    pipeline.source.paths = {"/in/*.jsonl"};
    if (!dead.empty()) pipeline.dead_letter_path = folder.path(dead);
  }

  Result<void> try_start(writer::RunOptions options) {
    stage.reset();
    ledger.reset();
    auto opened = ledger::Ledger::open(state.root(), "p");
    REQUIRE_MESSAGE(opened, (opened ? "" : opened.error().text));
    ledger.emplace(std::move(*opened));
    stage.emplace(pipeline, *ledger, std::move(options),
                  [this](const std::string& text) { warnings.push_back(text); });
    auto begun = stage->begin();
    if (!begun) return tl::unexpected(begun.error());
    epoch = *begun;
    return stage->recover();
  }
  // The one before was killed, if there was one.
  void start(writer::RunOptions options = {.run = "one"}) {
    auto started = try_start(std::move(options));
    REQUIRE_MESSAGE(started, (started ? "" : started.error().text));
  }
  std::string start_error(writer::RunOptions options, int exit_code) {
    auto started = try_start(std::move(options));
    REQUIRE_FALSE(started);
    CHECK(started.error().fault == Fault::kFatal);
    CHECK(started.error().exit_code == exit_code);
    return started.error().text;
  }

  void apply(const proto::Batch& batch) {
    auto applied = stage->apply(batch);
    REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().text));
  }
  void commit() {
    auto committed = stage->commit();
    REQUIRE_MESSAGE(committed, (committed ? "" : committed.error().text));
  }
  // All of it, and the end; returns the summary.
  rapidjson::Document run(const std::vector<Input>& inputs) {
    play(ledger->view(), epoch, inputs, 6, [this](const proto::Batch& batch) {
      apply(batch);
      return true;
    });
    return finish();
  }
  rapidjson::Document finish() {
    auto finished = stage->finish();
    REQUIRE_MESSAGE(finished, (finished ? "" : finished.error().text));
    rapidjson::Document summary;
    summary.Parse(stage->summary_json()->c_str());
    REQUIRE_FALSE(summary.HasParseError());
    return summary;
  }

  ledger::Source source(const Input& input) { return *ledger->view().source_at(input.path).value(); }
  std::string out(std::string_view name) { return read_file(folder.path(name)); }
  std::size_t letters() {
    std::string text = out("dead");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

inline std::size_t dead_of(const Input& input) {
  std::size_t count = 0;
  for (std::uint64_t line = 1; line <= input.lines; ++line) {
    count += fate_of(line) == Fate::kDead ? 1U : 0U;
  }
  return count;
}

}  // namespace leat::test
