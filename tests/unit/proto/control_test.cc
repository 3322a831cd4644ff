#include "proto/control.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>

using namespace leat;
using namespace leat::proto;

namespace {
template <class T>
T round_trip(const T& message) {
  auto decoded = decode_control(encode(Control(message)).view());
  REQUIRE(decoded.has_value());
  REQUIRE(std::holds_alternative<T>(*decoded));
  return std::get<T>(*decoded);
}
}  // namespace

TEST_CASE("a hello says who the worker is") {
  auto hello = round_trip(Hello{Stage::kProcessor, 7, 12, 4711, "0.1.0"});
  CHECK(hello.role == Stage::kProcessor);
  CHECK(hello.index == 7);
  CHECK(hello.instance == 12);
  CHECK(hello.pid == 4711);
  CHECK(hello.version == "0.1.0");
}

TEST_CASE("a welcome has what is common, and what its role alone is told") {
  Welcome welcome;
  welcome.epoch = ~0ULL;
  welcome.briefing = ~1ULL;
  welcome.input = "ipc:///run/a \"b\"\\c\n\xff";
  welcome.outputs = {"ipc://a", "ipc://b"};
  welcome.output_instances = {4, 0};
  welcome.credits = "ipc://c";
  welcome.credit_to = {"ipc://d"};
  auto came = round_trip(welcome);
  CHECK(came.epoch == welcome.epoch);
  CHECK(came.briefing == welcome.briefing);
  CHECK(came.input == welcome.input);
  CHECK(came.outputs == welcome.outputs);
  CHECK(came.output_instances == welcome.output_instances);
  CHECK(came.credits == welcome.credits);
  CHECK(came.credit_to == welcome.credit_to);
  CHECK_FALSE(came.reader);
  CHECK_FALSE(came.writer);
  welcome.reader = {1ULL << 40, 12, "ipc://e"};
  came = round_trip(welcome);
  REQUIRE(came.reader);
  CHECK(came.reader->window_bytes == 1ULL << 40);
  CHECK(came.reader->window_batches == 12);
  CHECK(came.reader->accepted == "ipc://e");
  welcome.writer = {12, "ipc://e", "r1", false, true, true, ~2ULL, {"/in/a.jsonl"}};
  came = round_trip(welcome);
  REQUIRE(came.writer);
  CHECK(came.writer->window_batches == 12);
  CHECK(came.writer->accepted == "ipc://e");
  CHECK(came.writer->run == "r1");
  CHECK_FALSE(came.writer->force);
  CHECK(came.writer->fresh);
  CHECK(came.writer->accept_changes);
  CHECK(came.writer->fingerprint == ~2ULL);
  CHECK(came.writer->reread == std::vector<std::string>{"/in/a.jsonl"});
}

TEST_CASE("what becomes of a dead worker's index, batches and record") {
  auto added = round_trip(MemberAdded{3, 17, "ipc:///run/x"});
  CHECK(added.index == 3);
  CHECK(added.instance == 17);
  CHECK(added.endpoint == "ipc:///run/x");
  CHECK(round_trip(MemberRemoved{3, 17}).index == 3);
  CHECK(round_trip(MemberRemoved{3, 17}).instance == 17);
  CHECK(round_trip(Resend{17}).instance == 17);
  auto record = round_trip(Quarantine{5, 1ULL << 40, Stage::kFilter, 3, "killed by signal 11 (SIGSEGV)"});
  CHECK(record.source == 5);
  CHECK(record.offset == 1ULL << 40);
  CHECK(record.stage == Stage::kFilter);
  CHECK(record.attempts == 3);
  CHECK(record.reason == "killed by signal 11 (SIGSEGV)");
}

TEST_CASE("a worker that joins, and one that drains") {
  Hello hello;
  hello.role = Stage::kProcessor;
  hello.joins = true;
  CHECK(round_trip(hello).joins);
  Welcome welcome;
  welcome.index = 3;
  welcome.instance = 9;
  auto came = round_trip(welcome);
  CHECK(came.index == 3);
  CHECK(came.instance == 9);
  CHECK(round_trip(MemberDraining{3, 17}).index == 3);
  CHECK(round_trip(MemberDraining{3, 17}).instance == 17);
  CHECK(round_trip(MemberDrained{3, 17}).index == 3);
  CHECK(round_trip(MemberDrained{3, 17}).instance == 17);
  CHECK(round_trip(Refusal{"another user"}).text == "another user");
  CHECK(round_trip(GiveUp{"nothing moves"}).text == "nothing moves");
  CHECK(round_trip(Stop{StopKind::kNow, true}).rejoin);
  CHECK(round_trip(Report{ReportKind::kLeave, 0, {}, {}, false}).kind == ReportKind::kLeave);
}

TEST_CASE("the reader is paused, and its window gets another size") {
  CHECK(round_trip(Pause{true}).on);
  CHECK_FALSE(round_trip(Pause{false}).on);
  CHECK(round_trip(WindowSize{1ULL << 33, 12}).bytes == 1ULL << 33);
  CHECK(round_trip(WindowSize{1, 12}).batches == 12);
}

TEST_CASE("stop and report keep their meaning") {
  for (StopKind kind : {StopKind::kNow, StopKind::kFinish, StopKind::kDrain})
    CHECK(round_trip(Stop{kind}).kind == kind);
  auto report = round_trip(Report{ReportKind::kFailed, 74, "no room", "{\"a\":1}", true});
  CHECK(report.kind == ReportKind::kFailed);
  CHECK(report.exit_code == 74);
  CHECK(report.text == "no room");
  CHECK(report.details == "{\"a\":1}");
  CHECK(report.retry);
}

TEST_CASE("unknown keys are ignored, unknown types and missing keys refused by name") {
  CHECK(decode_control(R"({"type":"stop","kind":"drain","rejoin":false,"new":[1]})").has_value());
  CHECK(decode_control(R"({"type":"dance"})").error().text.find("'dance'") != std::string::npos);
  CHECK(decode_control(R"({"type":"stop","rejoin":true})").error().text.find("'kind'") != std::string::npos);
  CHECK(decode_control(R"({"type":"stop","kind":"yes","rejoin":true})").error().text.find("'kind'") !=
        std::string::npos);
  CHECK_FALSE(
      decode_control(R"({"type":"hello","role":"king","index":0,"pid":1,"version":"1"})").has_value());
}

TEST_CASE("what is no JSON object is refused, however deep or long") {
  for (const char* text : {"", "[]", "1", "{", "{\"type\":1}", "\xff\xff"})
    CHECK_FALSE(decode_control(text).has_value());
  CHECK_FALSE(decode_control(std::string(1'000'000, '[')).has_value());
  CHECK_FALSE(decode_control(std::string(kMaxControlBytes + 1, ' ')).has_value());
}

TEST_CASE("a number that its field cannot hold is refused") {
  CHECK_FALSE(decode_control(R"({"type":"resend","instance":4294967296})").has_value());
  CHECK_FALSE(decode_control(R"({"type":"resend","instance":-1})").has_value());
  CHECK(decode_control(R"({"type":"resend","instance":4294967295})").has_value());
}

TEST_CASE("control messages are written as they always were") {
  Welcome welcome;
  welcome.epoch = 3;
  welcome.briefing = 0xfedcba9876543210;
  welcome.index = 1;
  welcome.instance = 2;
  welcome.input = "ipc:///i";
  welcome.outputs = {"ipc:///o"};
  welcome.output_instances = {7};
  welcome.credits = "ipc:///c";
  welcome.credit_to = {"ipc:///t"};
  Welcome to_reader = welcome, to_writer = welcome;
  to_reader.reader = {1 << 20, 8, "ipc:///a"};
  to_writer.writer = {8, "ipc:///a", "r1", true, true, false, 0xfedcba9876543210, {"/in/a"}};
  const std::vector<Control> all{Hello{Stage::kProcessor, 7, 12, 4711, "0.1.0", true},
                                 welcome,
                                 to_reader,
                                 to_writer,
                                 Stop{StopKind::kFinish, true},
                                 MemberAdded{1, 2, "ipc:///m"},
                                 MemberDraining{1, 2},
                                 MemberRemoved{1, 2},
                                 MemberDrained{1, 2},
                                 Resend{5},
                                 Quarantine{1, 180, Stage::kFilter, 3, "it killed"},
                                 Report{ReportKind::kFailed, 74, "no room", "{\"a\":1}", true},
                                 Pause{true},
                                 WindowSize{1 << 20, 8},
                                 Refusal{"no"},
                                 GiveUp{"no progress"}};
  std::string lines;
  for (const auto& message : all) lines += std::string(encode(message).view()) + "\n";
  std::ifstream file(std::string(LEAT_SOURCE_DIR) + "/tests/golden/control-v2.jsonl", std::ios::binary);
  std::ostringstream golden;
  golden << file.rdbuf();
  CHECK(lines == golden.str());
}
