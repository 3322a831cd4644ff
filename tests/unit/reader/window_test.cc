#include "workers/reader/window.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace leat;
using namespace leat::reader;
using proto::Batch;
using proto::Credit;
using proto::Header;

namespace {

constexpr std::uint64_t kSource = 3;

Batch lines(std::uint64_t sequence, const std::string& records, std::uint64_t first_offset = 1000) {
  Header header;
  header.sequence = sequence;
  header.source = kSource;
  header.first_line = 10;
  header.first_offset = first_offset;
  header.end_offset = first_offset + records.size();
  Buffer buffer(records.size(), proto::kHeaderBytes);
  buffer.append(records);
  return Batch::seal(header, std::move(buffer));
}

Credit passed_on(std::uint64_t sequence, std::uint32_t filter, std::uint32_t processor) {
  Credit credit;
  credit.sequence = sequence;
  credit.instance = filter;
  credit.dealt_to = processor;
  return credit;
}

// The sequence numbers that are sent again, all to `to`.
std::vector<std::uint64_t> resends(Window& window, std::uint32_t to) {
  std::vector<std::uint64_t> all;
  while (window.wants_resend()) {
    all.push_back(window.next_resend().header().sequence);
    window.resent(to);
  }
  return all;
}

using Sequences = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("what a dead filter was dealt is sent again, in order, and nothing else") {
  Window window(1 << 20, 16);
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence)
    window.sent(lines(sequence, "1\n"), sequence % 2 == 1 ? 11 : 12);
  window.again(11);
  CHECK(resends(window, 13) == Sequences{1, 3});
  window.again(11);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("what a dead processor was passed is sent again, but for what the writer has") {
  Window window(1 << 20, 16);
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) window.sent(lines(sequence, "1\n"), 11);
  window.credit(passed_on(1, 11, 21));
  window.credit(passed_on(2, 11, 22));
  window.credit(passed_on(3, 11, 21));
  window.accepted(1);
  window.again(21);
  CHECK(resends(window, 11) == Sequences{3});
}

TEST_CASE("a credit that comes after the news of a death is understood") {
  Window window(1 << 20, 16);
  window.sent(lines(1, "1\n"), 11);
  window.again(21);
  window.credit(passed_on(1, 11, 21));
  CHECK(resends(window, 11) == Sequences{1});
}

TEST_CASE("a batch dealt to a filter whose death was told just before is sent again") {
  Window window(1 << 20, 16);
  window.again(11);
  window.sent(lines(1, "1\n"), 11);
  CHECK(window.wants_resend());
  window.resent(11);
  CHECK(window.wants_resend());
  window.resent(12);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a late credit of the filter before does not tell who has the batch now") {
  Window window(1 << 20, 16);
  window.sent(lines(1, "1\n"), 11);
  window.again(11);
  window.resent(12);
  window.credit(passed_on(1, 11, 21));
  window.again(21);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a refused batch, or everything, is sent again on request") {
  Window window(1 << 20, 16);
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) window.sent(lines(sequence, "1\n"), 11);
  Credit refused = passed_on(2, 11, 0);
  refused.refused = true;
  window.credit(refused);
  CHECK(resends(window, 11) == Sequences{2});
  window.again(0);
  CHECK(resends(window, 11) == Sequences{1, 2});
  window.again(0);
  window.accepted(2);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a condemned record leaves as a reject, and the others keep their lines and offsets") {
  Window window(1 << 20, 16);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"), 11);
  proto::Verdict verdict{kSource, 1008, proto::Stage::kProcessor, 3, "was killed by signal 11 (SIGSEGV)"};
  REQUIRE(window.condemn(verdict));
  const Batch& batch = window.next_resend();
  CHECK(batch.records() == "{\"a\":1}\n       \n{\"c\":3}\n");
  CHECK(batch.header().sequence == 1);
  CHECK(batch.header().in == 1);
  CHECK(batch.header().rejected == 1);
  int rejects = 0;
  REQUIRE(proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
            ++rejects;
            CHECK(reject.origin.line_delta == 1);
            CHECK(reject.origin.offset_delta == 8);
            CHECK(reject.record == "{\"b\":2}");
            CHECK(reject.reason == verdict.reason);
            CHECK(reject.attempts == 3);
            CHECK(reject.stage == proto::Stage::kProcessor);
          }).has_value());
  CHECK(rejects == 1);
  CHECK_FALSE(window.condemn(verdict));  // once
  verdict.offset = 1000;
  REQUIRE(window.condemn(verdict));
  CHECK(window.next_resend().header().rejected == 2);
}

TEST_CASE("a record of another source or place is not there to be condemned") {
  proto::Verdict verdict{kSource, 1000, proto::Stage::kProcessor, 3, "x"};
  Batch batch = lines(1, "12345678\n");
  CHECK(without_record(batch, verdict));
  verdict.offset = 1009;
  CHECK_FALSE(without_record(batch, verdict));
  verdict.offset = 999;
  CHECK_FALSE(without_record(batch, verdict));
  verdict.offset = 1000;
  verdict.source = kSource + 1;
  CHECK_FALSE(without_record(batch, verdict));
}
