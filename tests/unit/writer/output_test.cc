#include "workers/writer/output.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/writer/folder.h"
#include "workers/writer/file.h"

using namespace leat;
using test::Folder;
using writer::Output;
using writer::OutputOptions;

namespace {

const OutputOptions kForce{.force = true};

std::unique_ptr<Output> must_open(const std::string& target, const OutputOptions& options = {}) {
  auto output = Output::open(target, options);
  REQUIRE_MESSAGE(output, (output ? "" : output.error().text));
  return std::move(*output);
}

std::string open_error(const std::string& target, const OutputOptions& options = {}) {
  auto output = Output::open(target, options);
  REQUIRE_FALSE(output);
  CHECK(output.error().fault == Fault::kFatal);
  return output.error().text;
}

}  // namespace

TEST_CASE("an output has only its temporary name until it is published") {
  Folder folder;
  auto output = must_open(folder.path("out.jsonl"));
  REQUIRE(output->write("{}\n"));
  CHECK(folder.names() == std::vector<std::string>{".out.jsonl.leat-tmp"});
  REQUIRE(output->publish());
  CHECK(folder.names() == std::vector<std::string>{"out.jsonl"});
  CHECK(test::read_file(folder.path("out.jsonl")) == "{}\n");
}

TEST_CASE("a commit puts what was written into the file and counts it once") {
  Folder folder;
  auto output = must_open(folder.path("out.zst"), {.compression = config::Compression::kZstd});
  REQUIRE(output->write("one\n"));
  CHECK(output->uncommitted_bytes() == 4);
  auto committed = output->commit();
  REQUIRE(committed);
  CHECK(*committed == 4);
  CHECK(output->uncommitted_bytes() == 0);
  CHECK(test::unzstd(test::read_file(folder.path(".out.zst.leat-tmp"))) == "one\n");
  CHECK(*output->commit() == 0);
}

TEST_CASE("an output without records is published as a valid empty file") {
  Folder folder;
  REQUIRE(must_open(folder.path("a.jsonl"))->publish());
  REQUIRE(must_open(folder.path("b.zst"), {.compression = config::Compression::kZstd})->publish());
  CHECK(test::read_file(folder.path("a.jsonl")).empty());
  CHECK(test::unzstd(test::read_file(folder.path("b.zst"))).empty());
}

TEST_CASE("a target that exists is refused before anything is written, and stays") {
  Folder folder;
  test::write_file(folder.path("out"), "old");
  CHECK(open_error(folder.path("out")) == folder.path("out") + " exists already; --force replaces it");
  CHECK(test::read_file(folder.path("out")) == "old");
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a dangling link is in the way like a file") {
  Folder folder;
  std::filesystem::create_symlink("nowhere", folder.path("out"));
  CHECK(open_error(folder.path("out")).find("exists already") != std::string::npos);
}

TEST_CASE("force replaces the target, at the very end") {
  Folder folder;
  test::write_file(folder.path("out"), "old");
  auto output = must_open(folder.path("out"), kForce);
  REQUIRE(output->write("new\n"));
  REQUIRE(output->commit());
  CHECK(test::read_file(folder.path("out")) == "old");
  REQUIRE(output->publish());
  CHECK(test::read_file(folder.path("out")) == "new\n");
}

TEST_CASE("a target that came into being meanwhile is not replaced") {
  Folder folder;
  auto output = must_open(folder.path("out"));
  REQUIRE(output->write("new\n"));
  test::write_file(folder.path("out"), "theirs");
  auto published = output->publish();
  REQUIRE_FALSE(published);
  CHECK(published.error().text.find("exists already") != std::string::npos);
  output.reset();
  CHECK(folder.names() == std::vector<std::string>{"out"});
  CHECK(test::read_file(folder.path("out")) == "theirs");
}

TEST_CASE("without RENAME_NOREPLACE a link does the same: it moves, and does not replace") {
  Folder folder;
  test::write_file(folder.path("from"), "new");
  auto moved = writer::link_no_replace(folder.path("from"), folder.path("to"));
  REQUIRE(moved);
  CHECK(*moved);
  CHECK(folder.names() == std::vector<std::string>{"to"});
  test::write_file(folder.path("from"), "newer");
  auto second = writer::link_no_replace(folder.path("from"), folder.path("to"));
  REQUIRE(second);
  CHECK_FALSE(*second);
  CHECK(test::read_file(folder.path("to")) == "new");
}

TEST_CASE("abandoning leaves nothing, and so does going out of scope") {
  Folder folder;
  auto output = must_open(folder.path("a"));
  REQUIRE(output->write("x\n"));
  output->abandon();
  CHECK(folder.names().empty());
  { auto dropped = must_open(folder.path("b")); }
  CHECK(folder.names().empty());
}

TEST_CASE("abandoning after publishing keeps the output") {
  Folder folder;
  auto output = must_open(folder.path("a"));
  REQUIRE(output->publish());
  output->abandon();
  CHECK(test::exists(folder.path("a")));
}

TEST_CASE("a second writer of the same target is refused, and the first goes on") {
  Folder folder;
  auto first = must_open(folder.path("out"));
  CHECK(open_error(folder.path("out"), kForce).find("another leat is writing") != std::string::npos);
  REQUIRE(first->write("x\n"));
  REQUIRE(first->publish());
  CHECK(test::read_file(folder.path("out")) == "x\n");
}

TEST_CASE("the temporary of a killed run is removed and its bytes do not come back") {
  Folder folder;
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto output = Output::open(folder.path("out"), {});
    if (output) (void)(*output)->write(std::string(100'000, 'x'));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(folder.names() == std::vector<std::string>{".out.leat-tmp"});
  auto output = must_open(folder.path("out"));
  REQUIRE(output->write("fresh\n"));
  REQUIRE(output->publish());
  CHECK(test::read_file(folder.path("out")) == "fresh\n");
}

TEST_CASE("a link planted under the temporary name is not followed") {
  Folder folder;
  test::write_file(folder.path("precious"), "keep me");
  std::filesystem::create_symlink("precious", folder.path(".out.leat-tmp"));
  open_error(folder.path("out"));
  CHECK(test::read_file(folder.path("precious")) == "keep me");
}

TEST_CASE("a missing folder is not created, and the message says how to") {
  Folder folder;
  std::string text = open_error(folder.path("none/out"));
  CHECK(text ==
        "no such folder: " + folder.path("none") + "; create it: mkdir -p '" + folder.path("none") + "'");
  CHECK_FALSE(test::exists(folder.path("none")));
}

TEST_CASE("a file where a folder should be, and a folder where a file should be, are told apart") {
  Folder folder;
  test::write_file(folder.path("file"), "");
  CHECK(open_error(folder.path("file/out")).find("not a folder") != std::string::npos);
  std::filesystem::create_directory(folder.path("sub"));
  CHECK(open_error(folder.path("sub"), kForce).find("is a folder, not a file") != std::string::npos);
}

TEST_CASE("a folder in which nothing can be created is named, whoever runs this") {
  auto output = Output::open("/proc/self/out", {});
  REQUIRE_FALSE(output);
  CHECK(output.error().text.find("/proc/self") != std::string::npos);
}

TEST_CASE("a name too long for its temporary says so") {
  Folder folder;
  CHECK(open_error(folder.path(std::string(250, 'n'))).find("choose a shorter name") != std::string::npos);
}

TEST_CASE("a character device is written in place and never replaced") {
  auto output = must_open("/dev/null", {.compression = config::Compression::kZstd});
  REQUIRE(output->write("x\n"));
  REQUIRE(output->commit());
  REQUIRE(output->publish());
  struct stat info {};
  REQUIRE(::stat("/dev/null", &info) == 0);
  CHECK(S_ISCHR(info.st_mode));
  CHECK_FALSE(test::exists("/dev/.null.leat-tmp"));
}

TEST_CASE("a full device fails at the commit") {
  auto output = must_open("/dev/full");
  REQUIRE(output->write("x\n"));
  auto committed = output->commit();
  REQUIRE_FALSE(committed);
  CHECK(committed.error().text.find("no room") != std::string::npos);
}

TEST_CASE("a FIFO gets the bytes, and its reader an end, without a temporary") {
  Folder folder;
  std::string path = folder.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::string got;
  std::thread reader([&] { got = test::read_file(path); });
  auto output = must_open(path);
  CHECK(folder.names() == std::vector<std::string>{"fifo"});
  REQUIRE(output->write("one\n"));
  REQUIRE(output->write(std::string(200'000, 'x') + "\n"));
  REQUIRE(output->publish());
  reader.join();
  CHECK(got == "one\n" + std::string(200'000, 'x') + "\n");
}

TEST_CASE("the reader of a FIFO going away is an error, not a signal") {
  Folder folder;
  std::string path = folder.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  auto old_handler = ::signal(SIGPIPE, SIG_IGN);
  stage::Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto output = must_open(path);
  reader.reset();
  REQUIRE(output->write("x\n"));
  auto committed = output->commit();
  ::signal(SIGPIPE, old_handler);
  REQUIRE_FALSE(committed);
  CHECK(committed.error().text.find("whoever read it has gone") != std::string::npos);
}

TEST_CASE("standard output is written as it is, whatever it is") {
  Folder folder;
  stage::Fd file(::open(folder.path("log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  stage::Fd saved(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  ::dup2(file.get(), STDOUT_FILENO);
  auto output = Output::open("/dev/stdout", {});
  bool done = output && (*output)->write("x\n") && (*output)->publish();
  ::dup2(saved.get(), STDOUT_FILENO);
  CHECK(done);
  CHECK(test::read_file(folder.path("log")) == "x\n");
}

TEST_CASE("a folder is a mount point or it is not") {
  CHECK(writer::check_mount("/proc"));
  Folder folder;
  auto mounted = writer::check_mount(folder.root());
  REQUIRE_FALSE(mounted);
  CHECK(mounted.error().fault == Fault::kRetry);
  CHECK(mounted.error().text.find("sink.require_mount: nothing is mounted at") != std::string::npos);
}
