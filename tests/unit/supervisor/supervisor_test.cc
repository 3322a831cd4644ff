// The loop with programs that are no workers: what the supervisor does when nobody speaks to it.
#include "daemon/supervisor/supervisor.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "daemon/supervisor/runtime_folder.h"

using namespace leat;
using namespace leat::supervisor;
namespace fs = std::filesystem;

namespace {

class Silent : public Observer {
 public:
  void warning(std::string_view, std::string_view) override {}
  void note(std::string_view, std::string_view) override {}
  void tick(const Snapshot&) override { ++ticks; }
  int ticks = 0;
};

// A folder of programs, all of them this shell script, and a runtime root.
struct Stage {
  std::string path;
  Job job;
  Silent observer;

  explicit Stage(const std::string& script) {
    char name[] = "/tmp/leat-test-XXXXXX";
    path = ::mkdtemp(name);
    for (const char* role : {"reader", "filter", "writer"}) {
      std::string program = path + "/leat-" + role;
      std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
      ::chmod(program.c_str(), 0700);
    }
    job.pipeline.name = "test";
    job.program_folder = path;
    job.runtime_root = path + "/run";
  }
  ~Stage() { fs::remove_all(path); }

  // And nothing may stay behind.
  Outcome run() {
    Outcome outcome = run_in_foreground(job, observer);
    CHECK(fs::is_empty(job.runtime_root));
    return outcome;
  }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a worker's own exit code becomes the run's, any other end is a bug") {
  Stage refusing("exit 78");
  Outcome outcome = refusing.run();
  CHECK(outcome.exit_code == kExitConfig);
  CHECK(has(outcome.failure, "exited with 78"));
  CHECK(refusing.observer.ticks == 0);
  CHECK(Stage("exit 1").run().exit_code == kExitBug);
  Outcome killed = Stage("kill -SEGV $$").run();
  CHECK(killed.exit_code == kExitBug);
  CHECK(has(killed.failure, "was killed by signal 11 (SIGSEGV)"));
}

TEST_CASE("workers that never say a word are ended when their time is up") {
  Stage stage("exec sleep 60");
  stage.job.start_up = std::chrono::milliseconds(100);
  Outcome outcome = stage.run();
  CHECK(outcome.exit_code == kExitBug);
  CHECK(has(outcome.failure, "did not start up"));
}

TEST_CASE("a signal before anything is read stops at once") {
  Stage stage("kill -TERM $PPID; exec sleep 60");  // taken by the supervisor, or this test would end here
  CHECK(stage.run().exit_code == kExitStopped);
}

TEST_CASE("asked to leave, it waits for nobody for long") {
  Stage stage("trap '' TERM; exec sleep 60");
  Supervisor supervisor(stage.job, stage.observer);
  CHECK_FALSE(supervisor.over());
  supervisor.leave();
  while (!supervisor.over()) {
    proto::Poller poller;
    supervisor.add_to(poller);
    poller.wait(supervisor.due());
    supervisor.step();
  }
  CHECK(supervisor.take_outcome().exit_code == kExitStopped);
}

TEST_CASE("a program that is missing is named, and the others do not stay") {
  Stage stage("exec sleep 60");
  fs::remove(stage.path + "/leat-writer");
  try {
    Supervisor supervisor(stage.job, stage.observer);
    FAIL("it started");
  } catch (const std::runtime_error& error) {
    CHECK(has(error.what(), "leat-writer"));
  }
  CHECK(fs::is_empty(stage.job.runtime_root));
}

TEST_CASE("a runtime folder too deep for sockets is refused before anything starts") {
  Stage stage("exec sleep 60");
  stage.job.runtime_root = stage.path + "/" + std::string(90, 'x');
  CHECK_THROWS_AS(run_in_foreground(stage.job, stage.observer), FolderError);
}
