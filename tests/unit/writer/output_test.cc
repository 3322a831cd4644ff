#include "workers/writer/output.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
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

// As the writer does it, with the ledger's part skipped.
Result<void> publish(Output& output) {
  if (auto finished = output.finish(); !finished) return finished;
  if (auto committed = output.commit(); !committed) return tl::unexpected(committed.error());
  return output.publish();
}

ledger::Output abandon(std::unique_ptr<Output> output) {
  output->keep();
  return output->row();
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
  REQUIRE(publish(*output));
  CHECK(folder.names() == std::vector<std::string>{"out.jsonl"});
  CHECK(test::read_file(folder.path("out.jsonl")) == "{}\n");
}

TEST_CASE("a commit puts what was written into the file, and says how long it is") {
  Folder folder;
  auto output = must_open(folder.path("out.zst"), {.compression = config::Compression::kZstd});
  REQUIRE(output->write("one\n"));
  CHECK(output->uncommitted_bytes() == 4);
  auto committed = output->commit();
  REQUIRE(committed);
  std::string bytes = test::read_file(folder.path(".out.zst.leat-tmp"));
  CHECK(*committed == bytes.size());
  CHECK(test::unzstd(bytes) == "one\n");
  CHECK(output->row().length == bytes.size());
  CHECK(output->row().record_bytes == 4);
  CHECK(output->uncommitted_bytes() == 0);
  CHECK(*output->commit() == bytes.size());
}

TEST_CASE("an output without records is published as a valid empty file") {
  Folder folder;
  REQUIRE(publish(*must_open(folder.path("a.jsonl"))));
  REQUIRE(publish(*must_open(folder.path("b.zst"), {.compression = config::Compression::kZstd})));
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
  REQUIRE(publish(*output));
  CHECK(test::read_file(folder.path("out")) == "new\n");
}

TEST_CASE("a target that came into being meanwhile is not replaced") {
  Folder folder;
  auto output = must_open(folder.path("out"));
  REQUIRE(output->write("new\n"));
  test::write_file(folder.path("out"), "theirs");
  auto published = publish(*output);
  REQUIRE_FALSE(published);
  CHECK(published.error().text.find("exists already") != std::string::npos);
  output.reset();
  CHECK(folder.names() == std::vector<std::string>{"out"});
  CHECK(test::read_file(folder.path("out")) == "theirs");
}

TEST_CASE("an output that the ledger does not know goes with its object, one that it may know stays") {
  Folder folder;
  { auto dropped = must_open(folder.path("a")); }
  CHECK(folder.names().empty());
  abandon(must_open(folder.path("b")));
  CHECK(folder.names() == std::vector<std::string>{".b.leat-tmp"});
}

TEST_CASE("a second writer of the same target is refused, and the first continues") {
  Folder folder;
  auto first = must_open(folder.path("out"));
  CHECK(open_error(folder.path("out"), kForce).find(" is in use: pid ") != std::string::npos);
  REQUIRE(first->write("x\n"));
  REQUIRE(publish(*first));
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
  REQUIRE(publish(*output));
  CHECK(test::read_file(folder.path("out")) == "fresh\n");
}

TEST_CASE("an output is continued behind what was committed, and the rest is cut off") {
  for (auto compression :
       {config::Compression::kNone, config::Compression::kZstd, config::Compression::kGzip}) {
    Folder folder;
    OutputOptions options{.compression = compression};
    auto first = must_open(folder.path("out"), options);
    REQUIRE(first->write("one\n"));
    REQUIRE(first->commit());
    ledger::Output row = first->row();
    REQUIRE(first->write("lost\n"));
    REQUIRE(first->commit());
    abandon(std::move(first));

    auto second = Output::reopen(row, options);
    REQUIRE(second);
    CHECK((*second)->record_bytes() == 4);
    CHECK_FALSE((*second)->dirty());
    CHECK(test::read_file(row.temporary).size() == row.length);
    REQUIRE((*second)->write("two\n"));
    REQUIRE(publish(**second));
    std::string bytes = test::read_file(folder.path("out"));
    CHECK((*second)->row().length == bytes.size());
    CHECK((*second)->row().record_bytes == 8);
    std::string text = compression == config::Compression::kZstd   ? test::unzstd(bytes)
                       : compression == config::Compression::kGzip ? test::ungzip(bytes)
                                                                   : bytes;
    CHECK(text == "one\ntwo\n");
  }
}

TEST_CASE("continuing without a new record adds no frame") {
  Folder folder;
  OutputOptions options{.compression = config::Compression::kZstd};
  auto first = must_open(folder.path("out"), options);
  REQUIRE(first->write("one\n"));
  REQUIRE(first->commit());
  ledger::Output row = abandon(std::move(first));
  auto second = Output::reopen(row, options);
  REQUIRE(second);
  REQUIRE(publish(**second));
  CHECK(test::read_file(folder.path("out")).size() == row.length);
}

TEST_CASE("an output that was in the ledger before anything was in it is made again when it is missing") {
  Folder folder;
  ledger::Output row = abandon(must_open(folder.path("out")));
  std::filesystem::remove(row.temporary);
  row.id = 7;
  auto again = Output::reopen(row, {});
  REQUIRE(again);
  REQUIRE((*again)->write("x\n"));
  REQUIRE(publish(**again));
  CHECK(test::read_file(folder.path("out")) == "x\n");
  CHECK((*again)->row().id == 7);
}

TEST_CASE("an output that is shorter than what was committed, or gone, stops the run") {
  Folder folder;
  auto first = must_open(folder.path("out"));
  REQUIRE(first->write("one\n"));
  REQUIRE(first->commit());
  ledger::Output row = abandon(std::move(first));
  test::write_file(row.temporary, "one");
  auto shorter = Output::reopen(row, {});
  REQUIRE_FALSE(shorter);
  CHECK(shorter.error().fault == Fault::kFatal);
  CHECK(shorter.error().exit_code == kExitIo);
  CHECK(shorter.error().text.find("has 3 bytes, shorter than what was committed: 4 bytes") !=
        std::string::npos);
  CHECK(test::read_file(row.temporary) == "one");
  std::filesystem::remove(row.temporary);
  auto gone = Output::reopen(row, {});
  REQUIRE_FALSE(gone);
  CHECK(gone.error().text.find("is missing, shorter than what was committed") != std::string::npos);
}

TEST_CASE("an output that another process has locked is waited for") {
  Folder folder;
  auto first = must_open(folder.path("out"));
  auto second = Output::reopen(first->row(), {});
  REQUIRE_FALSE(second);
  CHECK(second.error().fault == Fault::kRetry);
  CHECK(second.error().text.find(" has locked ") != std::string::npos);
  ledger::Output row = abandon(std::move(first));
  CHECK(Output::reopen(row, {}));
}

TEST_CASE("an output is not continued in another compression") {
  Folder folder;
  auto first = must_open(folder.path("out"), {.compression = config::Compression::kZstd});
  REQUIRE(first->write("one\n"));
  REQUIRE(first->commit());
  ledger::Output row = abandon(std::move(first));
  auto second = Output::reopen(row, {});
  REQUIRE_FALSE(second);
  CHECK(second.error().exit_code == kExitConfig);
  CHECK(second.error().text.find("another sink.compression") != std::string::npos);
}

TEST_CASE("a target that came into being between two runs is in the way before more is written") {
  Folder folder;
  ledger::Output row = abandon(must_open(folder.path("out")));
  test::write_file(folder.path("out"), "theirs");
  CHECK_FALSE(Output::reopen(row, {}));
  CHECK(Output::reopen(row, kForce));
}

TEST_CASE("a rename that stopped between link and unlink, or whose answer was lost, is seen as done") {
  Folder folder;
  auto output = must_open(folder.path("out"));
  REQUIRE(output->write("x\n"));
  REQUIRE(output->finish());
  REQUIRE(output->commit());
  std::filesystem::create_hard_link(output->row().temporary, folder.path("out"));
  REQUIRE(output->publish());
  CHECK(folder.names() == std::vector<std::string>{"out"});

  auto other = must_open(folder.path("other"));
  REQUIRE(other->finish());
  std::filesystem::rename(other->row().temporary, folder.path("other"));
  CHECK(other->publish());
}

TEST_CASE("an output that has settled needs no descriptor to be published") {
  Folder folder;
  auto output = must_open(folder.path("out"));
  REQUIRE(output->write("x\n"));
  REQUIRE(output->finish());
  REQUIRE(output->settle());
  REQUIRE(output->publish());
  CHECK(test::read_file(folder.path("out")) == "x\n");
}

TEST_CASE("a fault that passes is to be tried again, all other ends the run") {
  for (int error : {ESTALE, EIO, ENOTCONN, ETIMEDOUT, EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETUNREACH,
                    ECONNABORTED, ECONNRESET, ENODEV}) {
    CHECK(writer::io_failure("write", "/o/x", error).value().fault == Fault::kRetry);
  }
  for (int error : {ENOSPC, EDQUOT, EROFS, EACCES, EPIPE, EFBIG, ENOENT}) {
    CHECK(writer::io_failure("write", "/o/x", error).value().fault == Fault::kFatal);
  }
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
  REQUIRE(publish(*output));
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
  REQUIRE(publish(*output));
  reader.join();
  CHECK(got == "one\n" + std::string(200'000, 'x') + "\n");
}

TEST_CASE("the reader of a FIFO going away is an error, not a signal") {
  Folder folder;
  std::string path = folder.path("fifo");
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  auto old_handler = ::signal(SIGPIPE, SIG_IGN);
  Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto output = must_open(path);
  reader.reset();
  REQUIRE(output->write("x\n"));
  auto committed = output->commit();
  ::signal(SIGPIPE, old_handler);
  REQUIRE_FALSE(committed);
  CHECK(committed.error().text.find("what reads " + path + " has closed it") != std::string::npos);
}

TEST_CASE("standard output is written as it is, whatever it is") {
  Folder folder;
  Fd file(::open(folder.path("log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  Fd saved(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  ::dup2(file.get(), STDOUT_FILENO);
  auto output = Output::open("/dev/stdout", {});
  bool done = output && (*output)->write("x\n") && publish(**output);
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
  std::filesystem::create_directory_symlink("/proc", folder.path("link"));
  CHECK_FALSE(writer::check_mount(folder.path("link")));
}

TEST_CASE("a FIFO that a stranger has planted is not written to, nor is one behind a link there") {
  Folder folder;
  std::filesystem::create_directory(folder.path("shared"));
  std::filesystem::permissions(folder.path("shared"), std::filesystem::perms::all);
  const std::string target = folder.path("shared/out");
  std::string why = "exists already";
  int reader = -1;
  SUBCASE("a FIFO") {
    if (::geteuid() != 0) return;
    REQUIRE(::mkfifo(target.c_str(), 0666) == 0);
    REQUIRE(::chown(target.c_str(), 65123, 65123) == 0);
    reader = ::open(target.c_str(), O_RDONLY | O_NONBLOCK);
    why = "was put there by user 65123";
  }
  SUBCASE("a link to one") {
    REQUIRE(::mkfifo(folder.path("pipe").c_str(), 0666) == 0);
    std::filesystem::create_symlink(folder.path("pipe"), target);
    reader = ::open(folder.path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  }
  REQUIRE(reader >= 0);
  auto output = Output::open(target, {});
  ::close(reader);
  REQUIRE_FALSE(output);
  CHECK(output.error().exit_code == kExitConfig);
  CHECK(output.error().text.find(why) != std::string::npos);
}
