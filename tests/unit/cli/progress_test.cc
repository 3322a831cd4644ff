#include "daemon/cli/progress.h"

#include <doctest/doctest.h>

#include "daemon/cli/human.h"

using namespace leat::cli;
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

TEST_CASE("numbers are shown with three digits and a unit") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1536) == "1.50 KiB");
  CHECK(human_bytes(190 * kMiB) == "190 MiB");
  CHECK(human_bytes(1023 * kMiB) == "1.00 GiB");
  CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
  CHECK(human_count(999) == "999");
  CHECK(human_count(14'321) == "14.3 k");
  CHECK(human_count(999'800) == "1.00 M");
  CHECK(exact_count(0) == "0");
  CHECK(exact_count(999) == "999");
  CHECK(exact_count(1'234'567) == "1,234,567");
  CHECK(human_rate(640e6) == "640 MB/s");
  CHECK(human_clock(2.1) == "0:03");
  CHECK(human_clock(3723) == "1:02:03");
  CHECK(percent(1, 0) == "-");
}

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

TEST_CASE("text is cut between characters") {
  CHECK(cut_to("grün und mehr", 7) == "grün...");
  CHECK(cut_to("日本語", 6) == "日本語");
  CHECK(cut_to("日本語", 5) == "日...");
  CHECK(cut_to("\xC3", 10) == "\xC3");
  CHECK(cut_to("abc", 2) == "..");
}

TEST_CASE("rates are those of the last seconds") {
  RateMeter meter;
  Snapshot snapshot;
  Rates rates;
  for (int i = 1; i <= 100; ++i) {
    snapshot.seconds = i * 0.2;
    snapshot.bytes_in = static_cast<std::uint64_t>(i <= 50 ? i * 1000 : 50'000);
    rates = meter.add(snapshot);
    if (i == 50) CHECK(rates.bytes == doctest::Approx(5000));
  }
  CHECK(rates.bytes == doctest::Approx(0));
}
