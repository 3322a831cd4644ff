#include "workers/writer/encoder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "proto/base/fd.h"
#include "tests/unit/writer/folder.h"
#include "workers/writer/file.h"

using namespace leat;
using config::Compression;

namespace {

struct Written {
  test::Folder folder;
  std::string path = folder.path("out");
  Fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
  std::unique_ptr<writer::Encoder> encoder;

  explicit Written(Compression compression, int level = 3, int threads = 0)
      : encoder(std::move(*writer::make_encoder(compression, level, threads, fd.get(), path))) {}
  std::string bytes() const { return test::read_file(path); }
};

std::string lines(int from, int to) {
  std::string text;
  for (int i = from; i < to; ++i) text += "{\"id\":" + std::to_string(i * 7919) + ",\"text\":\"line\"}\n";
  return text;
}

}  // namespace

TEST_CASE("raw bytes come out as they went in, small runs and large ones mixed") {
  Written out(Compression::kNone);
  std::string expected;
  for (std::size_t size : {1, 70'000, 300, 65'535, 65'536, 65'535, 65'535, 1'000'000, 5}) {
    std::string run(size, static_cast<char>('a' + expected.size() % 26));
    expected += run;
    REQUIRE(out.encoder->write(run));
  }
  REQUIRE(out.encoder->finish());
  CHECK(out.bytes() == expected);
  CHECK(out.encoder->bytes_out() == expected.size());
}

TEST_CASE("small raw runs gather in memory until the frame ends") {
  Written out(Compression::kNone);
  REQUIRE(out.encoder->write("{}\n"));
  CHECK(out.bytes().empty());
  REQUIRE(out.encoder->end_frame());
  CHECK(out.bytes() == "{}\n");
}

TEST_CASE("a large raw run is in the file at once, behind what was gathered, and needs no memory") {
  Written out(Compression::kNone);
  std::string run(256 * 1024, 'x');
  REQUIRE(out.encoder->write(run));
  CHECK(out.encoder->memory() == 0);
  REQUIRE(out.encoder->write("small\n"));
  REQUIRE(out.encoder->write(run));
  CHECK(out.bytes() == run + "small\n" + run);
}

TEST_CASE("raw output without records is an empty file") {
  Written out(Compression::kNone);
  REQUIRE(out.encoder->finish());
  CHECK(out.bytes().empty());
}

TEST_CASE("zstd round trip of several megabytes") {
  Written out(Compression::kZstd);
  std::string text = lines(0, 100'000);
  for (std::size_t at = 0; at < text.size(); at += 100'003) {
    REQUIRE(out.encoder->write(std::string_view(text).substr(at, 100'003)));
  }
  REQUIRE(out.encoder->finish());
  CHECK(test::unzstd(out.bytes()) == text);
  CHECK(out.encoder->bytes_out() == out.bytes().size());
}

TEST_CASE("zstd with worker threads gives the same text") {
  Written out(Compression::kZstd, 1, 2);
  std::string text = lines(0, 50'000);
  REQUIRE(out.encoder->write(text));
  REQUIRE(out.encoder->end_frame());
  CHECK(test::unzstd(out.bytes()) == text);
  REQUIRE(out.encoder->write("more\n"));
  REQUIRE(out.encoder->finish());
  CHECK(test::unzstd(out.bytes()) == text + "more\n");
}

TEST_CASE("zstd frames carry a checksum: a flipped byte is noticed") {
  Written out(Compression::kZstd);
  REQUIRE(out.encoder->write("ab"));
  REQUIRE(out.encoder->finish());
  std::string bytes = out.bytes();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);  // the checksum is what stands last
  CHECK_THROWS(test::unzstd(bytes));
}

TEST_CASE("everything before the end of a frame can be decoded, and the next write begins a frame") {
  for (Compression compression : {Compression::kZstd, Compression::kGzip}) {
    Written out(compression);
    auto decode = [&](std::string_view b) {
      return compression == Compression::kZstd ? test::unzstd(b) : test::ungzip(b);
    };
    REQUIRE(out.encoder->write("one\n"));
    CHECK_THROWS(decode(out.bytes()));
    REQUIRE(out.encoder->end_frame());
    std::string first = out.bytes();
    CHECK(decode(first) == "one\n");
    REQUIRE(out.encoder->write("two\n"));
    REQUIRE(out.encoder->end_frame());
    CHECK(decode(out.bytes()) == "one\ntwo\n");
    CHECK(decode(out.bytes().substr(first.size())) == "two\n");
  }
}

TEST_CASE("ending a frame twice, or finishing after it, adds nothing") {
  for (Compression compression : {Compression::kNone, Compression::kZstd, Compression::kGzip}) {
    Written out(compression);
    REQUIRE(out.encoder->write("one\n"));
    REQUIRE(out.encoder->end_frame());
    std::string bytes = out.bytes();
    REQUIRE(out.encoder->end_frame());
    REQUIRE(out.encoder->finish());
    CHECK(out.bytes() == bytes);
  }
}

TEST_CASE("zstd and gzip without records finish as one empty frame") {
  Written zstd(Compression::kZstd);
  REQUIRE(zstd.encoder->end_frame());
  CHECK(zstd.bytes().empty());
  REQUIRE(zstd.encoder->finish());
  CHECK(test::unzstd(zstd.bytes()).empty());
  Written gzip(Compression::kGzip);
  REQUIRE(gzip.encoder->finish());
  CHECK(test::ungzip(gzip.bytes()).empty());
}

TEST_CASE("gzip round trip, in pieces, at the lowest and the highest level") {
  for (int level : {1, 9}) {
    Written out(Compression::kGzip, level);
    std::string text = lines(0, 60'000);
    for (std::size_t at = 0; at < text.size(); at += 200'001) {
      REQUIRE(out.encoder->write(std::string_view(text).substr(at, 200'001)));
    }
    REQUIRE(out.encoder->finish());
    CHECK(test::ungzip(out.bytes()) == text);
  }
}

TEST_CASE("gzip of noise, which fills the out buffer many times, survives") {
  Written out(Compression::kGzip, 6);
  std::string noise(1'000'000, '\0');
  std::uint32_t state = 1;
  for (char& byte : noise) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  REQUIRE(out.encoder->write(noise));
  REQUIRE(out.encoder->finish());
  CHECK(test::ungzip(out.bytes()) == noise);
}

TEST_CASE("levels that the library does not have are configuration errors that name the key") {
  auto zstd = writer::make_encoder(Compression::kZstd, 99, 0, 1, "x");
  REQUIRE_FALSE(zstd);
  CHECK(zstd.error().exit_code == kExitConfig);
  CHECK(zstd.error().text.find("sink.level: zstd takes") != std::string::npos);
  auto gzip = writer::make_encoder(Compression::kGzip, 0, 0, 1, "x");
  REQUIRE_FALSE(gzip);
  CHECK(gzip.error().text.find("sink.level: gzip takes 1 to 9, not 0") != std::string::npos);
}

TEST_CASE("a zstd encoder of level 3 holds under 4 MiB") {
  Written out(Compression::kZstd, 3);
  REQUIRE(out.encoder->write(lines(0, 200'000)));
  CHECK(out.encoder->memory() > 1024 * 1024);
  CHECK(out.encoder->memory() < 4 * 1024 * 1024);
}

TEST_CASE("no room on the device says so and what to do") {
  for (Compression compression : {Compression::kNone, Compression::kZstd, Compression::kGzip}) {
    Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    auto encoder = std::move(*writer::make_encoder(compression, 3, 0, full.get(), "/out/x"));
    auto written = encoder->write("line\n");
    if (written) written = encoder->finish();
    REQUIRE_FALSE(written);
    CHECK(written.error().fault == Fault::kFatal);
    CHECK(written.error().exit_code == kExitIo);
    CHECK(written.error().text ==
          "cannot write /out/x: No space left on device; no room: free some and run again");
  }
}

TEST_CASE("a short write is continued, and what does not fit at all is an error") {
  test::Folder folder;
  std::string path = folder.path("limited");
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit small{100'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  auto written = writer::write_all(fd.get(), std::string(150'000, 'x'), path);  // 100,000, then EFBIG
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  REQUIRE_FALSE(written);
  CHECK(written.error().text.find("rotate.bytes") != std::string::npos);
  CHECK(test::read_file(path).size() == 100'000);
}

TEST_CASE("a nonblocking pipe that is full is waited for") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  Fd out(ends[0]);
  Fd in(ends[1]);
  ::fcntl(out.get(), F_SETFL, 0);
  std::string text = lines(0, 20'000);
  std::string got;
  std::thread reader([&] {
    char block[4096];
    for (ssize_t count; (count = ::read(out.get(), block, sizeof block)) > 0;) {
      got.append(block, static_cast<std::size_t>(count));
    }
  });
  auto written = writer::write_all(in.get(), text, "pipe");
  in.reset();
  reader.join();
  CHECK(written);
  CHECK(got == text);
}
