// The writer's stage in a process of its own that is killed, again and again.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/writer/die_at.h"
#include "tests/unit/writer/writer.h"

using namespace leat;
using test::dead_of;
using test::Input;
using test::kA;
using test::kB;
using test::Writer;
using writer::WriterStage;

namespace {

// In a child that dies at that call: all of it, with a commit every few batches. True: it came to its end.
bool run_in_child(Writer& writer, const std::vector<Input>& inputs, std::uint64_t call) {
  writer.stage.reset();
  writer.ledger.reset();
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    test::die_at(call);
    auto opened = ledger::Ledger::open(writer.state.root(), "p");
    if (!opened) ::_exit(2);
    WriterStage stage(writer.pipeline, *opened, {.run = "one"}, [](const std::string&) {});
    auto epoch = stage.begin();
    if (!epoch || !stage.recover()) ::_exit(3);
    int batches = 0;
    bool good = true;
    test::play(opened->view(), *epoch, inputs, 5, [&](const proto::Batch& batch) {
      good = good && stage.apply(batch) && (++batches % 3 != 0 || stage.commit());
      return good;
    });
    ::_exit(good && stage.finish() ? 0 : 4);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) REQUIRE(WEXITSTATUS(status) == 0);
  return WIFEXITED(status);
}

}  // namespace

TEST_CASE("killed again and again at any moment, the output is that of an undisturbed run") {
  const std::vector<Input> inputs{kA, {"/in/empty.jsonl", 0}, kB, {"/in/c.jsonl", 111}};
  std::string expected;
  std::size_t dead = 0;
  for (const Input& input : inputs) {
    expected += input.kept();
    dead += dead_of(input);
  }
  struct Case {
    const char* sink;
    config::Compression compression;
    std::uint64_t rotate;
  };
  for (const Case& each :
       {Case{"out", config::Compression::kZstd, 0}, Case{"{stem}.gz", config::Compression::kGzip, 0},
        Case{"{n}", config::Compression::kNone, 500}}) {
    CAPTURE(each.sink);
    Writer writer(each.sink);
    writer.pipeline.sink.compression = each.compression;
    writer.pipeline.sink.rotate.bytes = each.rotate;
    // Each gets further than the one before, until one gets through.
    std::uint64_t kills = 0;
    while (!run_in_child(writer, inputs, kills + 1)) ++kills;
    CHECK(kills > 20);
    writer.start();
    auto summary = writer.run(inputs);
    std::string text;
    for (const std::string& name : writer.folder.names()) {
      if (name == "dead") continue;
      CHECK(name.find("leat-tmp") == std::string::npos);
      std::string bytes = writer.out(name);
      text += each.compression == config::Compression::kZstd   ? test::unzstd(bytes)
              : each.compression == config::Compression::kGzip ? test::ungzip(bytes)
                                                               : bytes;
    }
    if (each.compression == config::Compression::kGzip) {  // names sort otherwise than sources came
      text = test::ungzip(writer.out("a.gz")) + test::ungzip(writer.out("empty.gz")) +
             test::ungzip(writer.out("b.gz")) + test::ungzip(writer.out("c.gz"));
    }
    CHECK(text == expected);
    CHECK(writer.letters() == dead);
    CHECK(summary["in"].GetUint64() == 164);
    CHECK(summary["sources"]["done"].GetUint64() == 4);
    CHECK(writer.ledger->view().totals()->counts.in == 164);
  }
}
