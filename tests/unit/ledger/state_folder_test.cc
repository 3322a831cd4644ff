#include "workers/ledger/state_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "tests/unit/ledger/help.h"

using namespace leat;
using namespace leat::ledger;
using namespace leat::ledger::test;

namespace {

// Sets a variable for the life of this; nullptr: unset.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = ::getenv(name)) old_ = old;
    if (value != nullptr) {
      ::setenv(name, value, 1);
    } else {
      ::unsetenv(name);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the state folder is STATE_DIRECTORY, else below XDG_STATE_HOME, else below the home") {
  Variable home("HOME", "/home/u");
  Variable xdg("XDG_STATE_HOME", "/x");
  {
    Variable service("STATE_DIRECTORY", "/var/lib/leat:/var/lib/other");
    CHECK(default_state_folder("reviews") == "/var/lib/leat");
    CHECK(state_option("/var/lib/leat", "reviews") == " --state /var/lib/leat");
  }
  Variable service("STATE_DIRECTORY", nullptr);
  CHECK(default_state_folder("reviews") == "/x/leat/reviews");
  CHECK(state_option("/x/leat/reviews", "reviews").empty());
  CHECK(state_option("/my/state", "reviews") == " --state /my/state");
  CHECK(state_option("/it's mine", "reviews") == R"( --state '/it'\''s mine')");
  Variable relative("XDG_STATE_HOME", "x");
  CHECK(default_state_folder("reviews") == "/home/u/.local/state/leat/reviews");
}

TEST_CASE("a state folder is made with those above it, for its owner only") {
  StateFolder folder;
  std::string warning;
  std::string deep = folder.path() + "/a/b/";
  value(prepare_state_folder(deep, warning));
  CHECK(warning.empty());
  CHECK(std::filesystem::status(deep).permissions() == std::filesystem::perms::owner_all);
  value(prepare_state_folder(deep, warning));
}

TEST_CASE("a state folder that cannot be is refused with its name") {
  StateFolder folder;
  std::string warning;
  std::string file = folder.path() + "/file";
  ::close(::creat(file.c_str(), 0600));
  for (const auto& bad : {file, file + "/below", std::string("relative")}) {
    auto refused = prepare_state_folder(bad, warning);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().exit_code == kExitConfig);
    CHECK(has(refused.error().text, bad));
  }
}

TEST_CASE("a second run is refused with who has the first, until that is over") {
  StateFolder folder;
  CHECK_FALSE(RunLock::holder(folder.path()));
  {
    RunLock lock = value(RunLock::take(folder.path(), "/etc/leat/reviews.yaml"));
    auto refused = RunLock::take(folder.path(), "/etc/leat/other.yaml");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().fault == Fault::kFatal);
    CHECK(refused.error().exit_code == kExitConfig);
    CHECK(has(refused.error().text, "pid " + std::to_string(::getpid())));
    CHECK(has(refused.error().text, "/etc/leat/reviews.yaml"));
    CHECK_FALSE(has(refused.error().text, "other.yaml"));
    auto holder = RunLock::holder(folder.path());
    REQUIRE(holder);
    CHECK(holder->pid == std::to_string(::getpid()));
    CHECK(holder->pipeline == "/etc/leat/reviews.yaml");
    CHECK_FALSE(holder->host.empty());
  }
  CHECK_FALSE(RunLock::holder(folder.path()));
  value(RunLock::take(folder.path(), "/etc/leat/other.yaml"));
}

TEST_CASE("how a run failed stays in the folder until the next one begins") {
  StateFolder folder;
  CHECK_FALSE(RunLock::failure(folder.path()));
  value(RunLock::take(folder.path(), "/p.yaml")).failed("run-1", 66, "no file matches\nrun forged");
  CHECK_FALSE(RunLock::holder(folder.path()));
  auto failure = RunLock::failure(folder.path());
  REQUIRE(failure);
  CHECK(failure->run == "run-1");
  CHECK(failure->exit_code == "66");
  CHECK(failure->text == "no file matches run forged");
  value(RunLock::take(folder.path(), "/p.yaml"));
  CHECK_FALSE(RunLock::failure(folder.path()));
}

TEST_CASE("a second writer has to wait, and is let in when the first is killed") {
  StateFolder folder;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    auto lock = WriterLock::try_take(folder.path());
    char answer = lock ? 'y' : 'n';
    std::ignore = ::write(ready[1], &answer, 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  auto waits = WriterLock::try_take(folder.path());
  REQUIRE_FALSE(waits);
  CHECK(waits.error().fault == Fault::kRetry);
  CHECK(has(waits.error().text, std::to_string(child)));
  // The lock of runs is another one.
  CHECK(RunLock::take(folder.path(), "/p.yaml"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(WriterLock::try_take(folder.path()));
}

TEST_CASE("a lock that outlives its killed run for a moment does not refuse the next one") {
  StateFolder folder;
  pid_t run = ::fork();
  REQUIRE(run >= 0);
  if (run == 0) {
    auto lock = RunLock::take(folder.path(), "/p.yaml");
    if (!lock) ::_exit(1);
    if (::fork() == 0) {  // a worker that it was about to start
      ::usleep(300'000);
      ::_exit(0);
    }
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(run, &status, 0) == run);
  REQUIRE(WIFSIGNALED(status));
  CHECK(RunLock::take(folder.path(), "/p.yaml"));
}
