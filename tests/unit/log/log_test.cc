#include "daemon/log/log.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "daemon/log/limiter.h"

using namespace leat;
using namespace std::chrono_literals;

namespace {

// What was said since, line by line, with clocks that the test moves.
struct Said {
  std::vector<std::string> lines;
  std::chrono::steady_clock::time_point now{1h};
  std::chrono::system_clock::time_point time{std::chrono::milliseconds(1'795'510'800'123)};

  explicit Said(log::Level level = log::Level::kInfo, bool journal = false) {
    log::setup("leatd", {level, journal, [this] { return time; }, [this] { return now; },
                         [this](std::string_view line) { lines.emplace_back(line); }});
  }
  ~Said() {
    log::setup("leatd", {.write = [](std::string_view) {}});
  }
  Said(const Said&) = delete;
};

}  // namespace

TEST_CASE("for a person a line begins with the time and the level") {
  Said said(log::Level::kDebug);
  log::warning("worker-died", {{"pipeline", "reviews"}, {"pid", 9}});
  log::debug("poll");
  REQUIRE(said.lines.size() == 2);
  CHECK(said.lines[0] == "2026-11-24T09:00:00.123Z warning worker-died pipeline=reviews pid=9\n");
  CHECK(said.lines[1] == "2026-11-24T09:00:00.123Z debug poll\n");
}

TEST_CASE("for the journal a line begins with its priority and has no time") {
  Said said(log::Level::kDebug, true);
  log::error("a");
  log::warning("b");
  log::info("c", {{"text", "%v {} \n<0>"}});
  log::debug("d");
  CHECK(said.lines == std::vector<std::string>{"<3>a\n", "<4>b\n", "<6>c text=\"%v {} \\n<0>\"\n", "<7>d\n"});
}

TEST_CASE("what is below the level is neither said nor counted") {
  Said said(log::Level::kWarning, true);
  for (int i = 0; i < 30; ++i) log::info("tally", {{"pipeline", "a"}});
  log::warning("tally", {{"pipeline", "a"}});
  CHECK(said.lines == std::vector<std::string>{"<4>tally pipeline=a\n"});
}

TEST_CASE("an event without end is said 20 times, and then how often it was not") {
  Said said(log::Level::kInfo, true);
  for (int i = 0; i < 27; ++i) log::warning("outage", {{"pipeline", "a"}, {"n", i}});
  for (int i = 0; i < 21; ++i) log::info("reload");
  CHECK(said.lines.size() == 40);
  said.now += 10s;
  log::tick();
  REQUIRE(said.lines.size() == 42);
  CHECK(said.lines[40] == "<4>outage pipeline=a suppressed=7\n");
  CHECK(said.lines[41] == "<6>reload suppressed=1\n");
  log::tick();
  log::warning("outage", {{"pipeline", "a"}, {"n", 27}});
  CHECK(said.lines.size() == 43);
}

TEST_CASE("the next line tells what was held back too, and the end of the program what is left") {
  Said said(log::Level::kInfo, true);
  for (int i = 0; i < 22; ++i) log::info("a");
  said.now += 11s;
  log::info("b");
  REQUIRE(said.lines.size() == 22);
  CHECK(said.lines[20] == "<6>a suppressed=2\n");
  for (int i = 0; i < 21; ++i) log::info("b");
  log::finish();
  CHECK(said.lines.back() == "<6>b suppressed=2\n");
}

TEST_CASE("levels have four names") {
  CHECK(log::parse_level("error") == log::Level::kError);
  CHECK(log::parse_level("warning") == log::Level::kWarning);
  CHECK(log::parse_level("info") == log::Level::kInfo);
  CHECK(log::parse_level("debug") == log::Level::kDebug);
  CHECK_FALSE(log::parse_level("warn"));
  CHECK_FALSE(log::parse_level(""));
}

TEST_CASE(
    "the program's own setup writes to stderr, at the level and in the form that the environment says") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  struct stat status {};
  REQUIRE(::fstat(pipe[1], &status) == 0);
  const int stderr_before = ::dup(STDERR_FILENO);
  ::dup2(pipe[1], STDERR_FILENO);
  ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
  ::setenv("LEAT_LOG", "loud", 1);
  log::setup("leatd");
  log::debug("a");
  log::info("b");
  ::setenv("LEAT_LOG", "error", 1);
  log::setup("leatd");
  log::warning("c");
  log::error("d");
  ::unsetenv("JOURNAL_STREAM");
  ::unsetenv("LEAT_LOG");
  ::dup2(stderr_before, STDERR_FILENO);
  log::setup("leatd", {.write = [](std::string_view) {}});
  std::array<char, 1024> text{};
  const ssize_t count = ::read(pipe[0], text.data(), text.size());
  CHECK(std::string(text.data(), static_cast<std::size_t>(count)) ==
        "<4>log-level-unknown LEAT_LOG=loud expected=\"error, warning, info or debug\"\n<6>b\n<3>d\n");
  for (int fd : {pipe[0], pipe[1], stderr_before}) ::close(fd);
}

TEST_CASE("stderr is the journal's only when JOURNAL_STREAM names it") {
  std::array<int, 2> pipe{};
  REQUIRE(::pipe(pipe.data()) == 0);
  struct stat status {};
  REQUIRE(::fstat(pipe[1], &status) == 0);
  const std::string stream = fmt::format("{}:{}", status.st_dev, status.st_ino);
  CHECK(log::is_journal(stream.c_str(), pipe[1]));
  CHECK_FALSE(log::is_journal((stream + "1").c_str(), pipe[1]));
  CHECK_FALSE(log::is_journal(nullptr, pipe[1]));
  CHECK_FALSE(log::is_journal("", pipe[1]));
  CHECK_FALSE(log::is_journal(stream.c_str(), -1));
  ::close(pipe[0]);
  ::close(pipe[1]);
}
