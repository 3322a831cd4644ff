#include "workers/writer/stage.h"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <filesystem>

#include "tests/unit/writer/writer.h"

using namespace leat;
using ledger::SourceState;
using proto::BatchKind;
using test::dead_of;
using test::Input;
using test::kA;
using test::kB;
using test::Script;
using test::Writer;
using Names = std::vector<std::string>;

TEST_CASE("records, dead letters, places and counts become durable together") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  CHECK_FALSE(writer.ledger->view().source_at(kA.path).value());  // not before the commit
  writer.commit();
  ledger::Source row = writer.source(kA);
  CHECK(row.id == 1);
  CHECK(row.state == SourceState::kReading);
  CHECK(row.size == 200);
  CHECK(row.mtime_ns == 5);
  CHECK(row.head_bytes == 3);
  CHECK(row.head_hash == 9);
  CHECK(row.place.lines == 6);
  CHECK(row.place.offset == 6 * kA.line(1).size());
  CHECK(row.counts == ledger::Counts{.in = 6,
                                     .kept = 4,
                                     .dropped = 1,
                                     .dead = 1,
                                     .out = 4,
                                     .by_reference = 0,
                                     .out_bytes = 4 * kA.line(1).size()});
  auto dead = writer.ledger->view().dead_letters().value();
  REQUIRE(dead);
  CHECK(dead->letters == 1);
  CHECK(dead->length == writer.out("dead").size());
  CHECK((*writer.ledger->view().unfinished_outputs())[0].length == row.counts.out_bytes);
  CHECK(writer.ledger->view().run("one").value()->counts == row.counts);
}

TEST_CASE("a commit with nothing new writes nothing") {
  Writer writer("{stem}");
  writer.start();
  std::uint64_t commits = writer.stage->commits();
  CHECK_FALSE(writer.stage->pending());
  writer.commit();
  CHECK(writer.stage->commits() == commits);
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.ended(1, {kA.path, 0}));
  writer.commit();
  CHECK(writer.folder.names() == Names{"a"});
  CHECK(writer.stage->pending());  // that it is published
  writer.commit();
  CHECK_FALSE(writer.stage->pending());
  CHECK(writer.stage->commits() == commits + 2);
}

TEST_CASE("a whole run ends with everything published, counted and adding up") {
  Writer writer("out");
  writer.start();
  auto summary = writer.run({kA, kB});
  CHECK(writer.out("out") == kA.kept() + kB.kept());
  CHECK(writer.letters() == dead_of(kA) + dead_of(kB));
  CHECK(writer.ledger->view().unfinished_outputs()->empty());
  CHECK(writer.source(kB).state == SourceState::kDone);
  CHECK(summary["in"].GetUint64() == 53);
  CHECK(summary["kept"].GetUint64() + summary["dropped"].GetUint64() + summary["dead"].GetUint64() == 53);
  CHECK(summary["dead_letter"]["records"].GetUint64() == writer.letters());
  CHECK(summary["sources"]["done"].GetUint64() == 2);
  CHECK_FALSE(summary["resumed"].GetBool());
  CHECK(summary["sources"]["done_before"].GetUint64() == 0);
  REQUIRE(summary["outputs"].Size() == 1);
  CHECK(summary["outputs"][0]["path"].GetString() == writer.folder.path("out"));
  CHECK(summary["outputs"][0]["bytes"].GetUint64() == writer.out("out").size());
  auto run = writer.ledger->view().run("one").value();
  CHECK(run->ended_s > 0);
  CHECK(run->sources_done == 2);
}

TEST_CASE("a run with nothing to do says what was done before and when, and touches nothing") {
  Writer writer("out");
  writer.start();
  writer.run({kA, kB});
  writer.start({.run = "two"});
  auto summary = writer.run({kA, kB});
  CHECK(summary["in"].GetUint64() == 0);
  CHECK(summary["sources"]["done_before"].GetUint64() == 2);
  CHECK(summary["sources"]["last_done_s"].GetInt64() > 1'500'000'000);
  CHECK(summary["outputs"].Size() == 0);
  CHECK(writer.folder.names() == Names{"dead", "out"});
}

TEST_CASE("killed after a commit, the next writer of the run continues and the totals are of the whole run") {
  for (const char* sink : {"out", "{stem}"}) {
    Writer writer(sink);
    writer.start();
    Script script(writer.epoch);
    writer.apply(script.opened(1, kA));
    writer.apply(script.records(1, kA, 1, 20));
    writer.apply(script.ended(1, kA));
    writer.apply(script.opened(2, kB));
    writer.apply(script.records(2, kB, 1, 10));
    writer.commit();
    writer.apply(script.records(2, kB, 11, 20));  // and what was not committed comes again
    writer.start();
    CHECK(writer.stage->run().counts.in == 30);
    auto summary = writer.run({kA, kB});
    CHECK(summary["in"].GetUint64() == 53);
    CHECK(summary["sources"]["done"].GetUint64() == 2);
    CHECK(summary["sources"]["done_before"].GetUint64() == 0);
    CHECK_FALSE(summary["resumed"].GetBool());
    CHECK(summary["outputs"].Size() == (writer.folder.names().size() - 1));
    std::string text = std::string(sink) == "out" ? writer.out("out") : writer.out("a") + writer.out("b");
    CHECK(text == kA.kept() + kB.kept());
    CHECK(writer.letters() == dead_of(kA) + dead_of(kB));
  }
}

TEST_CASE("killed after all was published, but before it was reported, the next writer reports it") {
  Writer writer("out");
  writer.start();
  writer.run({kA});
  writer.start();
  auto summary = writer.run({kA});
  CHECK(summary["in"].GetUint64() == 20);
  CHECK(summary["sources"]["done"].GetUint64() == 1);
  CHECK(summary["sources"]["done_before"].GetUint64() == 0);
  CHECK(summary["outputs"].Size() == 1);
  CHECK(writer.out("out") == kA.kept());
}

TEST_CASE("a run that was stopped keeps what is unfinished; the next one continues to the same bytes") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 7));
  writer.apply(script.end_of_input(true));
  auto stopped = writer.finish();
  CHECK(stopped["stopped"].GetBool());
  CHECK(stopped["outputs"].Size() == 0);
  CHECK(writer.folder.names() == Names{".out.leat-tmp", "dead"});
  CHECK(writer.source(kA).place.lines == 7);
  writer.start({.run = "two"});
  auto summary = writer.run({kA});
  CHECK(summary["in"].GetUint64() == 13);
  CHECK(summary["resumed"].GetBool());
  CHECK(writer.out("out") == kA.kept());
  CHECK(writer.letters() == dead_of(kA));
}

TEST_CASE("while following, the end publishes only what is complete") {
  Writer writer("{stem}");
  writer.start({.run = "one", .follow = true});
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 20));
  writer.apply(script.ended(1, kA));
  writer.apply(script.opened(2, kB));
  writer.apply(script.records(2, kB, 1, 20));
  writer.apply(script.end_of_input());
  writer.finish();
  CHECK(writer.folder.names() == Names{".b.leat-tmp", "a", "dead"});
}

TEST_CASE("a source that fails is published as far as it came, one that may have better luck is not") {
  for (bool retry : {false, true}) {
    Writer writer("{stem}");
    writer.start();
    Script script(writer.epoch);
    writer.apply(script.opened(1, kA));
    writer.apply(script.records(1, kA, 1, 6));
    writer.apply(script.event(1, proto::SourceFailed{kA.path, 180, "ends in the middle", retry}, &kA, 6));
    writer.apply(script.end_of_input());
    auto summary = writer.finish();
    CHECK(writer.folder.names() == (retry ? Names{".a.leat-tmp", "dead"} : Names{"a", "dead"}));
    CHECK(writer.warnings == Names{"/in/a.jsonl: ends in the middle"});
    CHECK(writer.source(kA).state == SourceState::kFailed);
    CHECK(writer.source(kA).retry == retry);
    CHECK(writer.source(kA).place.lines == 6);
    CHECK(summary["sources"]["failed_count"].GetUint64() == 1);
    REQUIRE(summary["sources"]["failed"].Size() == 1);
    CHECK(summary["sources"]["failed"][0]["path"].GetString() == kA.path);
    CHECK(summary["sources"]["failed"][0]["reason"].GetString() == std::string("ends in the middle"));
    CHECK(summary["sources"]["changed"].Size() == 0);
    if (!retry) continue;
    writer.start({.run = "two"});
    auto second = writer.run({kA});
    CHECK(second["sources"]["failed_count"].GetUint64() == 0);
    CHECK(writer.out("a") == kA.kept());
  }
}

TEST_CASE("a source that could not even be opened gets a row, and no output") {
  Writer writer("{stem}");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.event(1, proto::SourceFailed{kA.path, 0, "cannot open /in/a.jsonl", true}));
  writer.apply(script.end_of_input());
  writer.finish();
  CHECK(writer.folder.names().empty());
  CHECK(writer.warnings == Names{"cannot open /in/a.jsonl"});
  CHECK(writer.source(kA).state == SourceState::kFailed);
}

TEST_CASE("a change keeps what was read, and is counted once however often it is noticed") {
  Writer writer("{stem}");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  const proto::SourceChanged truncated{kA.path, "truncated"};
  writer.apply(script.event(1, truncated));
  writer.commit();
  CHECK(writer.source(kA).state == SourceState::kChanged);
  CHECK(writer.source(kA).place.lines == 6);
  CHECK(writer.folder.names() == Names{"a", "dead"});
  writer.start();  // the same run, another epoch
  Script again(writer.epoch);
  writer.apply(again.event(1, truncated));
  writer.apply(again.end_of_input());
  CHECK(writer.finish()["sources"]["changed_count"].GetUint64() == 1);
  writer.start({.run = "two"});
  Script third(writer.epoch);
  writer.apply(third.event(1, truncated));
  writer.apply(third.end_of_input());
  auto summary = writer.finish();
  CHECK(summary["sources"]["changed_count"].GetUint64() == 1);
  CHECK(summary["sources"]["changed"][0]["reason"].GetString() == std::string("truncated"));
}

TEST_CASE("a moved source changes its path only; finished marks what was to be done after it") {
  Writer writer("out");
  writer.pipeline.source.after = "delete";
  writer.start();
  Script script(writer.epoch);
  const Input none{"/in/none.jsonl", 0};
  writer.apply(script.opened(1, none));
  writer.apply(script.ended(1, none));
  writer.commit();
  CHECK(writer.source(none).after == "delete");
  CHECK_FALSE(writer.source(none).after_done);
  writer.apply(script.event(1, proto::SourceMoved{"/in/new.jsonl", "/in/none.jsonl"}));
  writer.apply(script.event(1, proto::SourceFinished{"/in/new.jsonl", "delete", {}, "no permission"}));
  writer.commit();
  CHECK(writer.warnings == Names{"/in/new.jsonl: no permission"});
  CHECK_FALSE(writer.ledger->view().source_at(none.path).value());
  const Input moved{"/in/new.jsonl", 0};
  CHECK(writer.source(moved).state == SourceState::kDone);
  CHECK_FALSE(writer.source(moved).after_done);
  writer.apply(script.event(1, proto::SourceFinished{"/in/new.jsonl", "delete", {}, {}}));
  writer.commit();
  CHECK(writer.source(moved).after_done);
}

TEST_CASE("once the input was read all is published, at once, as source.after waits for it") {
  Writer writer("out");
  writer.pipeline.source.after = "delete";
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, kA.lines));
  writer.apply(script.ended(1, kA));
  writer.commit();
  CHECK(writer.ledger->view().after_due(0, 9)->empty());
  writer.apply(script.event(0, proto::InputRead{}));
  CHECK(writer.out("out") == kA.kept());
  CHECK(writer.stage->commit_due());  // the reader is told
  CHECK(writer.ledger->view().after_due(0, 9)->size() == 1);
  writer.commit();
  CHECK_FALSE(writer.stage->commit_due());
  writer.apply(script.event(1, proto::SourceFinished{kA.path, "delete", {}, {}}));
  writer.apply(script.end_of_input());
  CHECK(writer.finish()["outputs_count"].GetUint64() == 1);
  CHECK(writer.ledger->view().after_due(0, 9)->empty());
}

TEST_CASE("who stops what follows finds its records, and the next run continues with another number") {
  Writer writer("out-{n}");
  writer.pipeline.sink.rotate.bytes = 1 << 20;
  for (int n = 1; n <= 2; ++n) {
    writer.start({.run = "run" + std::to_string(n), .follow = true});
    const Input& input = n == 1 ? kA : kB;
    Script script(writer.epoch);
    writer.apply(script.opened(static_cast<std::uint64_t>(n), input));
    writer.apply(script.records(static_cast<std::uint64_t>(n), input, 1, input.lines));
    writer.apply(script.end_of_input(true));
    writer.finish();
    CHECK(writer.out("out-00000" + std::to_string(n)) == input.kept());
  }
  CHECK(writer.folder.names() == Names{"dead", "out-000001", "out-000002"});
}

TEST_CASE("an output that is gone is told when there is nothing to do") {
  Writer writer("out");
  writer.start();
  writer.run({kA});
  std::filesystem::remove(writer.folder.path("out"));
  writer.start({.run = "two"});
  writer.apply(Script(writer.epoch).end_of_input(false, 1));
  writer.finish();
  CHECK(writer.warnings == Names{"nothing to do, and the output " + writer.folder.path("out") +
                                 " is gone: --fresh --force makes it again"});
}

TEST_CASE("a look is committed whole and at once, and what it has missed for long is forgotten") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  const Input none{"/in/none.jsonl", 0};
  writer.apply(script.opened(1, none));
  writer.apply(script.ended(1, none));
  writer.commit();
  writer.apply(script.event(0, proto::SourcesScanned{{1}, {7}, false, false}));
  CHECK(writer.stage->pending());
  CHECK_FALSE(writer.stage->commit_due());
  for (int day = 0; day < 91; ++day) {
    CHECK(writer.ledger->view().source_with(1)->has_value());
    writer.apply(script.event(0, proto::SourcesScanned{{}, {}, true, true}));
    CHECK(writer.stage->commit_due());
    writer.commit();
    CHECK_FALSE(writer.stage->pending());
  }
  CHECK_FALSE(writer.ledger->view().source_with(1)->has_value());
  writer.apply(script.opened(2, none));  // what comes again is new
  writer.apply(script.ended(2, none));
  writer.commit();
  CHECK(writer.source(none).id == 2);
}

TEST_CASE("a source with dead letters that are nowhere else is not to be deleted or moved") {
  Writer writer("out", "");  // no dead-letter file
  writer.pipeline.source.after = "delete";
  writer.start();
  writer.run({kA});
  CHECK(writer.source(kA).counts.by_reference == dead_of(kA));
  CHECK(writer.source(kA).after.empty());
}

TEST_CASE("many small sources of one output each share commits, and one is due before there are too many") {
  Writer writer("{stem}");
  writer.start();
  Script script(writer.epoch);
  for (std::uint64_t id = 1; id <= 31; ++id) {
    Input input{"/in/" + std::to_string(id), 0};
    writer.apply(script.opened(id, input));
    writer.apply(script.ended(id, input));
  }
  CHECK_FALSE(writer.stage->commit_due());
  Input last{"/in/32", 0};
  writer.apply(script.opened(32, last));
  writer.apply(script.ended(32, last));
  CHECK(writer.stage->commit_due());
  writer.commit();
  CHECK_FALSE(writer.stage->commit_due());
  CHECK(writer.folder.names().size() == 32);
}

TEST_CASE("a source that is opened again before the ledger heard of its end is committed first") {
  Writer writer("{stem}");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  writer.apply(script.event(1, proto::SourceFailed{kA.path, 180, "x", true}, &kA, 6));
  writer.apply(script.opened(1, kA, 6));
  CHECK(writer.source(kA).state == SourceState::kFailed);
  writer.apply(script.records(1, kA, 7, 20));
  writer.apply(script.ended(1, kA));
  writer.apply(script.end_of_input());
  auto summary = writer.finish();
  CHECK(summary["sources"]["failed_count"].GetUint64() == 0);
  CHECK(writer.out("a") == kA.kept());
}

TEST_CASE("what cannot be is a bug, and stops the writer before it is committed") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  auto bug = [&](const proto::Batch& batch) {
    auto applied = writer.stage->apply(batch);
    return !applied && applied.error().exit_code == kExitBug;
  };
  CHECK(bug(script.records(9, kA, 1, 6)));  // not open
  CHECK(bug(script.ended(9, kA)));          // not open
  CHECK(bug(script.opened(1, kA, 3)));      // nothing is known of the first lines
  proto::Header opened;
  opened.epoch = writer.epoch;
  opened.kind = proto::BatchKind::kSourceOpened;
  CHECK(bug(proto::Batch::seal(opened, Buffer(16, proto::kHeaderBytes))));  // no JSON
  writer.apply(script.opened(1, kA));
  CHECK(bug(script.opened(1, kA)));
  proto::Header header;
  header.source = 1;
  header.in = 2;
  header.kept = 1;
  CHECK(bug(proto::Batch::seal(header, Buffer(0, proto::kHeaderBytes))));
}

TEST_CASE("dead letters that were not committed do not come twice") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  // Killed after the dead letters were on the disk, and before the transaction.
  writer.stage.reset();
  test::write_file(writer.folder.path("dead"), "{\"source\":\"/in/a.jsonl\"}\n");
  writer.start();
  writer.run({kA});
  CHECK(writer.letters() == dead_of(kA));
}

TEST_CASE("full room for an output is 74, and after making room the next run ends with the same bytes") {
  Writer writer("out", "");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  writer.commit();
  auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 200;
  ::setrlimit(RLIMIT_FSIZE, &small);
  writer.apply(script.records(1, kA, 7, 20));
  auto committed = writer.stage->commit();
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  REQUIRE_FALSE(committed);
  CHECK(committed.error().fault == Fault::kFatal);
  CHECK(committed.error().exit_code == kExitIo);
  writer.start({.run = "two"});
  writer.run({kA});
  CHECK(writer.out("out") == kA.kept());
}

TEST_CASE("another file at a path that source.after has emptied starts from nothing") {
  Writer writer("out");
  writer.start();
  Script script(writer.epoch);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 20));
  writer.apply(script.ended(1, kA));
  writer.commit();
  writer.apply(script.event(1, proto::SourceFinished{kA.path, "delete", {}, {}}));
  writer.commit();
  CHECK(writer.source(kA).after_done);
  writer.apply(script.opened(1, kA));
  writer.apply(script.records(1, kA, 1, 6));
  writer.commit();
  ledger::Source row = writer.source(kA);
  CHECK_FALSE(row.after_done);
  CHECK(row.state == SourceState::kReading);
  CHECK(row.place.lines == 6);
  CHECK(row.counts.in == 6);
}
