#include "workers/stage/limits.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/yaml/parse.h"

using namespace leat;

TEST_CASE("where no thread can be started, that is said before libzmq would abort") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    constexpr uid_t kNobodyElse = 54'321;  // root is not bound by the limit
    if (::geteuid() == 0 && ::setuid(kNobodyElse) != 0) ::_exit(2);
    const rlimit itself{1, 1};
    if (!stage::allow_tasks(2) || ::setrlimit(RLIMIT_NPROC, &itself) != 0) ::_exit(3);
    auto refused = stage::allow_tasks(2);
    if (refused) ::_exit(4);
    const bool says =
        refused.error().text.starts_with("2 more processes and threads are needed and 0 can be started");
    ::_exit(says && refused.error().exit_code == kExitIo && refused.error().fault == Fault::kRetry ? 0 : 5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("processes and threads are counted: three of each worker, the reader's own, and of a program two") {
  auto parsed = config::parse_pipeline(
      "version: 1\nname: t\nsource: {paths: [in]}\nsink: {path: out}\n"
      "process: {steps: [{drop: [/x]}, {exec: {command: [cat]}}]}\n",
      "/t.yaml");
  REQUIRE(parsed.problems.empty());
  CHECK(stage::tasks_for(parsed.pipeline, 0) == 12);
  CHECK(stage::tasks_for(parsed.pipeline, 2) == 22);
}
