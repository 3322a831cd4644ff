#include "proto/base/files.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <thread>

#include "proto/base/fd.h"
#include "tests/unit/folder.h"

using namespace leat;
using leat::test::Folder;

namespace {

std::string content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("what passes is tried again, what stays is not") {
  for (int error : {EIO, EREMOTEIO, ESTALE, ENODEV, ENOTCONN, ETIMEDOUT, EHOSTDOWN, ENETRESET, ECONNREFUSED,
                    EAGAIN, ENOMEM, EMFILE, ENFILE}) {
    CAPTURE(error);
    CHECK(is_transient(error));
    CHECK(io_failure("read", "/a", error).value().fault == Fault::kRetry);
  }
  // ENXIO is a socket, or a FIFO that nobody reads.
  for (int error : {0, ENOENT, EACCES, EROFS, ENOSPC, EDQUOT, ELOOP, EINVAL, ENXIO, EISDIR}) {
    CAPTURE(error);
    CHECK_FALSE(is_transient(error));
    CHECK(io_failure("read", "/a", error).value().fault == Fault::kFatal);
  }
}

TEST_CASE("a failed call says what, where, why and what helps") {
  CHECK(io_failure("write", "/a/b", ENOSPC).value().text ==
        "cannot write /a/b: No space left on device; no room: free some and run again");
  CHECK(io_failure("open", "/a", EMFILE).value().text ==
        "cannot open /a: Too many open files; raise `ulimit -n`");
  CHECK(io_failure("open", "/a", ENOENT).value().text == "cannot open /a: No such file or directory");
}

TEST_CASE("a path is a folder and a name") {
  CHECK(folder_of("/a/b.txt") == "/a");
  CHECK(folder_of("/b") == "/");
  CHECK(folder_of("/") == "/");
  CHECK(folder_of("b") == ".");
  CHECK(folder_of("a/b/") == "a/b");
  CHECK(name_of("/a/b.txt") == "b.txt");
  CHECK(name_of("b") == "b");
}

TEST_CASE("the folder in front of a wildcard holds all that a pattern can match") {
  CHECK(fixed_folder("/mnt/in/*.jsonl", "*?[") == "/mnt/in");
  CHECK(fixed_folder("/mnt/in/a*/b", "*?[") == "/mnt/in");
  CHECK(fixed_folder("/mnt/**/b.jsonl", "*?[") == "/mnt");
  CHECK(fixed_folder("/mnt/in/[ab]", "*?[") == "/mnt/in");
  CHECK(fixed_folder("/mnt/in/a.jsonl", "*?[") == "/mnt/in");
  CHECK(fixed_folder("/*", "*?[") == "/");
  CHECK(fixed_folder("/out/x-{n}.jsonl", "{") == "/out");
}

TEST_CASE("without RENAME_NOREPLACE a link does the same: it moves, and does not replace") {
  const Folder folder;
  for (auto* move : {rename_no_replace, link_no_replace}) {
    write(folder.path("from"), "new");
    CHECK(move(folder.path("from"), folder.path("to")) == 0);
    CHECK(content(folder.path("to")) == "new");
    write(folder.path("from"), "newer");
    CHECK(move(folder.path("from"), folder.path("to")) == EEXIST);
    CHECK(content(folder.path("to")) == "new");
    CHECK(content(folder.path("from")) == "newer");
    CHECK(move(folder.path("nothing"), folder.path("x")) == ENOENT);
    CHECK(move(folder.path("from"), folder.path("no/x")) == ENOENT);
    std::filesystem::remove(folder.path("to"));
  }
}

TEST_CASE("a rename that replaces is durable, and says what it could not do") {
  const Folder folder;
  write(folder.path("from"), "new");
  write(folder.path("to"), "old");
  CHECK(rename_durably(folder.path("from"), folder.path("to")));
  CHECK(content(folder.path("to")) == "new");
  const Result<void> again = rename_durably(folder.path("from"), folder.path("to"));
  REQUIRE_FALSE(again);
  CHECK(again.error().text == "cannot rename " + (folder.path("from")) + ": No such file or directory");
}

TEST_CASE("a folder is synced, and one that cannot be is told of") {
  const Folder folder;
  CHECK(sync_folder(folder.root()));
  CHECK(sync_folder("/proc"));  // has no such call
  const Result<void> gone = sync_folder(folder.path("no"));
  REQUIRE_FALSE(gone);
  CHECK(gone.error().fault == Fault::kFatal);
  write(folder.path("file"), "");
  CHECK_FALSE(sync_folder(folder.path("file")));
}

TEST_CASE("all is written, through a pipe that takes a part at a time too") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  Fd out(ends[0]);
  Fd in(ends[1]);
  const std::string text(300'000, 'x');
  std::string got;
  std::thread reader([&] {
    ::fcntl(out.get(), F_SETFL, 0);
    char chunk[4096];
    for (ssize_t count = 0; (count = ::read(out.get(), chunk, sizeof chunk)) > 0;)
      got.append(chunk, static_cast<std::size_t>(count));
  });
  CHECK(write_all(in.get(), text) == 0);
  in.reset();
  reader.join();
  CHECK(got == text);
  const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CHECK(write_all(full.get(), "x") == ENOSPC);
}
