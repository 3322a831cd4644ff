#include "daemon/cli/daemon_status.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "proto/base/human.h"

using namespace leat;
using namespace leat::cli;

namespace {

std::string worker(const std::string& role, int index, const std::string& state, double busy, double blocked,
                   const std::string& more = "\"state_seconds\":0.1") {
  return fmt::format(
      R"({{"role":"{}","index":{},"instance":7,"pid":4132,"kind":"own","state":"{}","busy":{},"blocked":{},"idle":{},)"
      R"("records":412345,"memory_bytes":5000000,{}}})",
      role, index, state, busy, blocked, 1 - busy - blocked, more);
}

std::string reviews(const std::string& message, const std::string& workers) {
  return R"({"name":"reviews","file":"/etc/leat/pipelines.d/reviews.yaml","state":"running","message":")" +
         message +
         R"(","state_seconds":11520.5,"records":{"in":1234567,"kept":1200000,"dropped":34000,"dead":567},)"
         R"("bytes_in":10500000000,"rate":{"records":12345.6,"bytes":45200000},)"
         R"("sources":{"total":4000,"done":120,"failed":2},"epoch":7,"window_batches":12,"memory_bytes":44040192,)"
         R"("bottleneck":"processor",)"
         R"("processors":{"own":3,"joined":1,"wanted":4,"min":1,"max":8,"auto":true},"workers":[)" +
         workers +
         R"(],"events":[)"
         R"({"time":"2026-11-24T08:50:00Z","level":"info","event":"oldest","text":"a=1"},)"
         R"({"time":"2026-11-24T08:51:00Z","level":"warning","event":"worker-died","text":"worker=processor-0"},)"
         R"({"time":"2026-11-24T08:52:00Z","level":"info","event":"e2","text":""},)"
         R"({"time":"2026-11-24T08:53:00Z","level":"info","event":"e3","text":""},)"
         R"({"time":"2026-11-24T08:54:00Z","level":"info","event":"e4","text":""},)"
         R"({"time":"2026-11-24T08:55:00Z","level":"error","event":"source-unavailable","text":"path=/mnt/nas"}]})";
}

std::string leatd(const std::string& pipelines) {
  return R"({"version":"0.1.0","pid":4123,"since":"2026-11-24T09:00:00Z","pipelines":[)" + pipelines + "]}";
}

std::string shown(const std::string& data, std::size_t width = 100, bool unicode = false) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  auto status = parse_leatd_status(data);
  REQUIRE(status);
  return to_text(*status, width, unicode);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a pipeline that is well is shown with its numbers and workers, and no events") {
  std::string text = shown(leatd(reviews("", worker("processor", 0, "busy", 0.5, 0.3))));
  CHECK(
      text ==
      "leatd 0.1.0, pid 4123, since 2026-11-24 09:00:00: 1 pipeline\n"
      "\n"
      "reviews: running for 3 h 12 min   /etc/leat/pipelines.d/reviews.yaml\n"
      "  rate        12.3 k records/s, 45.2 MB/s; bottleneck: processor\n"
      "  records     1,234,567 in (9.78 GiB), 1,200,000 kept, 34,000 dropped, 567 dead\n"
      "  sources     120 of 4,000 done, 2 failed: leat sources reviews --state-filter failed\n"
      "  memory      42.0 MiB, 12 batches under way (epoch 7)\n"
      "  processors  3 own and 1 that joined, 4 wanted; leatd decides, 1 to 8\n"
      "  WORKER                     PID  STATE       FOR  LOAD        BUSY BLOCK IDLE   RECORDS   MEMORY\n"
      "  processor-0               4132  busy      0.1 s  [#####===..]  50    30   20     412 k 4.77 MiB\n");
}

TEST_CASE("what is wrong comes first, whole, and the last events behind the numbers") {
  std::string says = "42 s in read() of /mnt/nas/in/" + std::string(120, 'x');
  std::string text = shown(leatd(reviews(says, "")));
  CHECK(has(text, "1 pipeline, 1 needs attention"));
  std::size_t first = text.find("  ! " + says + "\n");
  REQUIRE(first != std::string::npos);
  CHECK(first < text.find("rate"));
  CHECK(has(text, "  events      2026-11-24 08:51:00  warning: worker-died worker=processor-0\n"));
  CHECK(has(text, "error: source-unavailable path=/mnt/nas\n"));
  CHECK_FALSE(has(text, "oldest"));
}

TEST_CASE("a file that could not be read is its mistakes, a line each, and nothing else") {
  std::string text = shown(leatd(
      R"({"name":"bad.yaml","file":"/etc/leat/pipelines.d/bad.yaml","state":"refused","message":"1:1: sink: missing\n2:3: x"})"));
  CHECK(has(text,
            "bad.yaml: refused   /etc/leat/pipelines.d/bad.yaml\n"
            "  ! 1:1: sink: missing\n"
            "    2:3: x\n"));
  CHECK_FALSE(has(text, "rate"));
}

TEST_CASE("what a worker is at is shown when that takes long, unless it was said already") {
  std::string hangs =
      worker("reader", 0, "busy", 1, 0, R"("state_seconds":42.0,"activity":"read() of /mnt/nas/a")");
  CHECK(has(shown(leatd(reviews("", hangs))), "\n      read() of /mnt/nas/a\n"));
  CHECK_FALSE(has(shown(leatd(reviews("42 s in read() of /mnt/nas/a", hangs))), "\n      read() of"));
  std::string rests = worker("reader", 0, "idle", 0, 0, R"("state_seconds":42.0,"activity":"waiting")");
  CHECK_FALSE(has(shown(leatd(reviews("", rests))), "waiting"));
}

TEST_CASE("lines keep to the width, with block elements too") {
  std::string joined =
      worker("processor", 15, "blocked", 0.33, 0.33, R"("state_seconds":3600,"kind":"joined")");
  for (bool unicode : {false, true}) {
    std::string text =
        shown(leatd(reviews("", joined + "," + worker("writer", 0, "busy", 1.7, -3))), 100, unicode);
    CHECK_FALSE(has(text, "...\n"));
    CHECK(has(text, unicode ? "▕███▒▒▒▒   ▏" : "[###====...]"));
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      CHECK(columns(std::string_view(text).substr(at, text.find('\n', at) - at)) <= 100);
    }
  }
  CHECK(has(shown(leatd(reviews("", joined)), 60), "...\n"));
}

TEST_CASE("nothing that a file is named can work on the terminal") {
  std::string text = shown(leatd(reviews(R"(read() of /mnt/\u001b[2Jx)", "")));
  CHECK(has(text, "/mnt/\\x1b[2Jx"));
  CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE("what is missing or of another type is nothing, and what is no status refused") {
  CHECK(has(shown(R"({"pipelines":[{"name":"a","records":7,"workers":{},"rate":null,"events":[3]},5]})"),
            "a:  for"));
  CHECK(shown(R"({"pipelines":[]})") == "leatd , pid 0, since : 0 pipelines\n");
  for (const char* bad : {"", "[]", "{}", "{\"pipelines\":"}) CHECK_FALSE(parse_leatd_status(bad));
}
