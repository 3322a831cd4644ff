#include "daemon/cli/daemon_status.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "proto/base/human.h"

using namespace leat;
using namespace leat::cli;

namespace {

proto::WorkerStatus worker(const std::string& role, std::uint64_t index, const std::string& state,
                           double busy, double blocked, double state_seconds = 0.1) {
  proto::WorkerStatus worker;
  worker.role = role;
  worker.index = index;
  worker.instance = 7;
  worker.pid = 4132;
  worker.state = state;
  worker.state_seconds = state_seconds;
  worker.busy = busy;
  worker.blocked = blocked;
  worker.idle = 1 - busy - blocked;
  worker.records = 412345;
  worker.memory_bytes = 5000000;
  return worker;
}

proto::PipelineStatus reviews(const std::string& message, std::vector<proto::WorkerStatus> workers) {
  proto::PipelineStatus status;
  status.name = "reviews";
  status.file = "/etc/leat/pipelines.d/reviews.yaml";
  status.state = "running";
  status.message = message;
  status.state_seconds = 11520.5;
  status.records = {1234567, 1200000, 34000, 567};
  status.bytes_in = 10500000000;
  status.rate = {12345.6, 45200000};
  status.sources = {4000, 120, 2};
  status.epoch = 7;
  status.window_batches = 12;
  status.memory_bytes = 44040192;
  status.bottleneck = "processor";
  status.processors = {3, 1, 4, 1, 8, true};
  status.workers = std::move(workers);
  status.events = {{"2026-11-24T08:50:00Z", "info", "oldest", "a=1"},
                   {"2026-11-24T08:51:00Z", "warning", "worker-died", "worker=processor-0"},
                   {"2026-11-24T08:52:00Z", "info", "e2", ""},
                   {"2026-11-24T08:53:00Z", "info", "e3", ""},
                   {"2026-11-24T08:54:00Z", "info", "e4", ""},
                   {"2026-11-24T08:55:00Z", "error", "source-unavailable", "path=/mnt/nas"}};
  return status;
}

std::string shown(const proto::PipelineStatus& pipeline, std::size_t width = 100, bool unicode = false) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  return to_text({"0.1.0", 4123, "2026-11-24T09:00:00Z", {pipeline}}, width, unicode);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a pipeline that is well is shown with its numbers and workers, and no events") {
  std::string text = shown(reviews("", {worker("processor", 0, "busy", 0.5, 0.3)}));
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
  std::string text = shown(reviews(says, {}));
  CHECK(has(text, "1 pipeline, 1 needs attention"));
  std::size_t first = text.find("  ! " + says + "\n");
  REQUIRE(first != std::string::npos);
  CHECK(first < text.find("rate"));
  CHECK(has(text, "  events      2026-11-24 08:51:00  warning: worker-died worker=processor-0\n"));
  CHECK(has(text, "error: source-unavailable path=/mnt/nas\n"));
  CHECK_FALSE(has(text, "oldest"));
}

TEST_CASE("a file that could not be read is its mistakes, a line each, and nothing else") {
  proto::PipelineStatus refused;
  refused.name = "bad.yaml";
  refused.file = "/etc/leat/pipelines.d/bad.yaml";
  refused.state = "refused";
  refused.message = "1:1: sink: missing\n2:3: x";
  std::string text = shown(refused);
  CHECK(has(text,
            "bad.yaml: refused   /etc/leat/pipelines.d/bad.yaml\n"
            "  ! 1:1: sink: missing\n"
            "    2:3: x\n"));
  CHECK_FALSE(has(text, "rate"));
}

TEST_CASE("what a worker is at is shown when that takes long, unless it was said already") {
  auto hangs = worker("reader", 0, "busy", 1, 0, 42);
  hangs.activity = "read() of /mnt/nas/a";
  CHECK(has(shown(reviews("", {hangs})), "\n      read() of /mnt/nas/a\n"));
  CHECK_FALSE(has(shown(reviews("42 s in read() of /mnt/nas/a", {hangs})), "\n      read() of"));
  auto idle = worker("reader", 0, "idle", 0, 0, 42);
  idle.activity = "waiting";
  CHECK_FALSE(has(shown(reviews("", {idle})), "waiting"));
}

TEST_CASE("lines keep to the width, with block elements too") {
  auto joined = worker("processor", 15, "blocked", 0.33, 0.33, 3600);
  joined.kind = "joined";
  for (bool unicode : {false, true}) {
    std::string text = shown(reviews("", {joined, worker("writer", 0, "busy", 1.7, -3)}), 100, unicode);
    CHECK_FALSE(has(text, "...\n"));
    CHECK(has(text, unicode ? "▕███▒▒▒▒   ▏" : "[###====...]"));
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      CHECK(columns(std::string_view(text).substr(at, text.find('\n', at) - at)) <= 100);
    }
  }
  CHECK(has(shown(reviews("", {joined}), 60), "...\n"));
}

TEST_CASE("nothing that a file is named can work on the terminal") {
  std::string text = shown(reviews("read() of /mnt/\x1b[2Jx", {}));
  CHECK(has(text, "/mnt/\\x1b[2Jx"));
  CHECK_FALSE(has(text, "\x1b"));
}

TEST_CASE("a status of another version says what to do") {
  const std::string status =
      encode_fields(proto::Status{"0.1.0", 1, "", {reviews("", {})}}, JsonFor::kPeople);
  CHECK(parse_status(status));
  std::string older = status;
  older.replace(older.find("\"bottleneck\""), 12, "\"slowest_one\"");
  for (const std::string& bad : {std::string(), std::string("[]"), std::string("{}"), older}) {
    CAPTURE(bad);
    auto parsed = parse_status(bad);
    REQUIRE_FALSE(parsed);
    CHECK(has(parsed.error().text, "restart leatd"));
  }
}
