#include "daemon/cli/progress.h"

#include <doctest/doctest.h>

#include "proto/base/human.h"

using namespace leat;
using namespace leat::cli;
using leat::supervisor::Rates;
using leat::supervisor::Snapshot;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

Snapshot halfway() {
  Snapshot snapshot;
  snapshot.seconds = 1;
  snapshot.records_in = 143'000;
  snapshot.kept = 67'353;
  snapshot.bytes_in = 640'000'000;
  snapshot.disk_bytes = 190 * kMiB;
  snapshot.total_disk_bytes = 455 * kMiB;
  snapshot.reader_text = "reading /mnt/nas/a.jsonl";
  return snapshot;
}

const Rates kRates{640e6, 143e3, 95.0 * kMiB};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("at 200 columns everything is there") {
  std::string line = progress_line(halfway(), kRates, 199, true);
  CHECK(line.starts_with(" 42% ▕"));
  CHECK(line.ends_with("190 MiB of 455 MiB · 640 MB/s · 143 k records/s · kept 47.1 % · ETA 0:03"));
}

TEST_CASE("a line is never wider than it may be, and loses the least useful first") {
  for (bool unicode : {false, true}) {
    for (std::size_t width = 1; width <= 250; ++width) {
      CAPTURE(width);
      CHECK(columns(progress_line(halfway(), kRates, width, unicode)) <= width);
    }
  }
  std::string line = progress_line(halfway(), kRates, 79, true);
  CHECK(columns(line) > 60);
  CHECK(has(line, "640 MB/s"));
  CHECK(has(line, "ETA 0:03"));
  CHECK_FALSE(has(line, "455 MiB"));
  CHECK(has(progress_line(halfway(), kRates, 20, true), "640 MB/s"));
}

TEST_CASE("without UTF-8 the line is ASCII") {
  for (char c : progress_line(halfway(), kRates, 199, false)) CHECK(static_cast<unsigned char>(c) < 0x80);
}

TEST_CASE("the bar is full at the end, and more than was listed is not more than full") {
  Snapshot snapshot = halfway();
  snapshot.disk_bytes = 2 * snapshot.total_disk_bytes;
  std::string line = progress_line(snapshot, kRates, 120, false);
  CHECK(line.starts_with("100% [####"));
  CHECK_FALSE(has(line, "-]"));
}

TEST_CASE("a reader that waits is said to, as long as nothing moves") {
  Snapshot snapshot = halfway();
  snapshot.reader_text = "42 s in read() of /mnt/nas/a.jsonl";
  CHECK(has(progress_line(snapshot, {}, 199, true), "42 s in read() of /mnt/nas/a.jsonl"));
  CHECK_FALSE(has(progress_line(snapshot, {}, 199, true), "MB/s"));
  CHECK_FALSE(has(progress_line(snapshot, kRates, 199, true), "42 s"));
  snapshot.reader_text = "waits for the mount /mnt/" + std::string(400, 'x');
  CHECK(columns(progress_line(snapshot, {}, 79, true)) <= 79);
}

TEST_CASE("a path cannot put control characters on the terminal") {
  Snapshot snapshot = halfway();
  snapshot.reader_text = "waits for /mnt/\x1b[2J";
  CHECK_FALSE(has(progress_line(snapshot, {}, 199, true), "\x1b"));
}
