#include "workers/reader/window.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/payloads.h"

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

const Growth kGrowth(1 << 20, 16 << 20);

proto::Accepted up_to(std::uint64_t sequence) {
  proto::Accepted accepted;
  accepted.accepted = sequence;
  return accepted;
}

// The writer has taken `part` parts of the first batch, up to a line and an offset of the source.
proto::Accepted cut_at(std::uint32_t part, std::uint64_t line, std::uint64_t offset,
                       std::uint32_t wanted = 0) {
  proto::Accepted accepted;
  accepted.part = part;
  accepted.cut_line = line;
  accepted.cut_offset = offset;
  accepted.wanted = wanted;
  return accepted;
}

// The sequence numbers that are sent again, all to `to`.
std::vector<std::uint64_t> resends(Window& window, std::uint32_t to) {
  std::vector<std::uint64_t> all;
  while (window.wants_resend()) {
    all.push_back(window.next_resend(kGrowth).header().sequence);
    window.resent(to);
  }
  return all;
}

using Sequences = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE("what a dead filter was dealt is sent again, in order, and nothing else") {
  Window window(1 << 20, 16, kHeap);
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence)
    window.sent(lines(sequence, "1\n"), sequence % 2 == 1 ? 11 : 12);
  window.resend(11);
  CHECK(resends(window, 13) == Sequences{1, 3});
  window.resend(11);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("what a dead processor was passed is sent again, but for what the writer has") {
  Window window(1 << 20, 16, kHeap);
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) window.sent(lines(sequence, "1\n"), 11);
  window.credit(passed_on(1, 11, 21));
  window.credit(passed_on(2, 11, 22));
  window.credit(passed_on(3, 11, 21));
  window.accepted(up_to(1));
  window.resend(21);
  CHECK(resends(window, 11) == Sequences{3});
}

TEST_CASE("a credit that comes after the news of a death is understood") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "1\n"), 11);
  window.resend(21);
  window.credit(passed_on(1, 11, 21));
  CHECK(resends(window, 11) == Sequences{1});
}

TEST_CASE("a batch dealt to a filter whose death was told just before is sent again") {
  Window window(1 << 20, 16, kHeap);
  window.resend(11);
  window.sent(lines(1, "1\n"), 11);
  CHECK(window.wants_resend());
  window.resent(11);
  CHECK(window.wants_resend());
  window.resent(12);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a late credit of the filter before does not tell who has the batch now") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "1\n"), 11);
  window.resend(11);
  window.resent(12);
  window.credit(passed_on(1, 11, 21));
  window.resend(21);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a refused batch, or everything, is sent again on request") {
  Window window(1 << 20, 16, kHeap);
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) window.sent(lines(sequence, "1\n"), 11);
  Credit refused = passed_on(2, 11, 0);
  refused.refused = true;
  window.credit(refused);
  CHECK(resends(window, 11) == Sequences{2});
  window.resend(0);
  CHECK(resends(window, 11) == Sequences{1, 2});
  window.resend(0);
  window.accepted(up_to(2));
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a quarantined record leaves as a reject, and the others keep their lines and offsets") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"), 11);
  proto::Quarantine record{kSource, 1008, proto::Stage::kProcessor, 3, "was killed by signal 11 (SIGSEGV)"};
  REQUIRE(window.quarantine(record));
  const Batch& batch = window.next_resend(kGrowth);
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
            CHECK(reject.reason == record.reason);
            CHECK(reject.attempts == 3);
            CHECK(reject.stage == proto::Stage::kProcessor);
          }).has_value());
  CHECK(rejects == 1);
  CHECK_FALSE(window.quarantine(record));  // once
  record.offset = 1000;
  REQUIRE(window.quarantine(record));
  CHECK(window.next_resend(kGrowth).header().rejected == 2);
}

TEST_CASE("a record of another source or place is not there to be quarantined") {
  proto::Quarantine record{kSource, 1000, proto::Stage::kProcessor, 3, "x"};
  Batch batch = lines(1, "12345678\n");
  CHECK(without_record(batch, record, kHeap));
  record.offset = 1009;
  CHECK_FALSE(without_record(batch, record, kHeap));
  record.offset = 999;
  CHECK_FALSE(without_record(batch, record, kHeap));
  record.offset = 1000;
  record.source = kSource + 1;
  CHECK_FALSE(without_record(batch, record, kHeap));
}

TEST_CASE("the rest of a batch that was cut is sent as its next part") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n\n{\"b\":2}\n{\"c\":3}\n"), 11);
  window.accepted(cut_at(1, 11, 1009));
  REQUIRE(window.wants_resend());
  const Batch& rest = window.next_resend(kGrowth);
  CHECK(rest.header().sequence == 1);
  CHECK(rest.header().part == 1);
  CHECK(rest.header().first_line == 12);
  CHECK(rest.header().first_offset == 1009);
  CHECK(rest.header().end_offset == 1000 + 25);
  CHECK_FALSE(rest.header().cut());
  CHECK(rest.records() == "{\"b\":2}\n{\"c\":3}\n");
  CHECK(rest.header().grant >= 64 * 1024);
  window.resent(12);
  CHECK_FALSE(window.wants_resend());
  // Said again, it changes nothing; a death of whoever has it sends the part, not the batch.
  window.accepted(cut_at(1, 11, 1009));
  CHECK_FALSE(window.wants_resend());
  window.resend(12);
  CHECK(window.next_resend(kGrowth).header().part == 1);
  window.accepted(up_to(1));
  CHECK(window.empty());
  CHECK(window.bytes() == 0);
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("a record that wants more than its grant gets it, alone, and the part ends there") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"), 11);
  window.accepted(cut_at(1, 10, 1008, 3'000'000));
  const Header header = window.next_resend(kGrowth).header();
  CHECK(header.grant == 3'000'000);
  CHECK(header.cut());
  CHECK(header.end_line == 11);
  CHECK(header.end_offset == 1016);
  CHECK(header.records_bytes == 8);
  CHECK(window.bytes() == 3'000'000);
  window.resent(12);
  window.accepted(cut_at(2, 11, 1016));
  CHECK(window.next_resend(kGrowth).records() == "{\"c\":3}\n");
  window.accepted(up_to(1));
  CHECK(window.bytes() == 0);
}

TEST_CASE("a part is as long as what grows fits a grant") {
  Window window(1 << 20, 16, kHeap);
  std::string records;
  for (int i = 0; i < 1000; ++i) records += "{\"a\":12345}\n";
  window.sent(lines(1, records), 11);
  window.accepted(cut_at(1, 10, 1012));
  Growth growth(64 * 1024, 1 << 20);
  growth.learn(500'000);
  const Header header = window.next_resend(growth).header();
  CHECK(header.records_bytes == 108);
  CHECK(header.cut());
  CHECK(header.grant <= 64 * 1024);
}

TEST_CASE("a record that is quarantined in the rest of a batch is a reject of its part") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"), 11);
  proto::Quarantine record{kSource, 1008, proto::Stage::kProcessor, 3, "killed"};
  window.accepted(cut_at(1, 10, 1008));
  window.next_resend(kGrowth);
  window.resent(12);
  REQUIRE(window.quarantine(record));
  const Batch& part = window.next_resend(kGrowth);
  CHECK(part.header().part == 1);
  CHECK(part.records() == "       \n{\"c\":3}\n");
  CHECK(part.header().in == 1);
  CHECK(part.header().rejected == 1);
  std::vector<proto::Origin> origins;
  REQUIRE(
      proto::decode_rejects(part.rejects(), [&](const proto::Reject& r) { origins.push_back(r.origin); }));
  REQUIRE(origins.size() == 1);
  CHECK(origins[0].line_delta == 0);
  CHECK(origins[0].offset_delta == 0);
}

TEST_CASE("a reject travels with the part that holds its line, and with no other") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"), 11);
  REQUIRE(window.quarantine({kSource, 1016, proto::Stage::kProcessor, 3, "killed"}));
  window.accepted(cut_at(1, 10, 1008, 3'000'000));
  const Header alone = window.next_resend(kGrowth).header();
  CHECK(alone.records_bytes == 8);
  CHECK(alone.in == 0);
  CHECK(alone.rejects_bytes == 0);
  window.resent(12);
  window.accepted(cut_at(2, 11, 1016));
  const Header last = window.next_resend(kGrowth).header();
  CHECK(last.in == 1);
  CHECK(last.rejected == 1);
  CHECK(last.rejects_bytes > 0);
}

TEST_CASE("a quarantine of what the writer has already changes nothing") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "{\"a\":1}\n{\"b\":2}\n"), 11);
  window.accepted(cut_at(1, 10, 1008));
  window.next_resend(kGrowth);
  window.resent(12);
  window.quarantine({kSource, 1000, proto::Stage::kProcessor, 3, "killed"});
  CHECK_FALSE(window.wants_resend());
}

TEST_CASE("the window counts what batches may become") {
  Window window(1000, 16, kHeap);
  Header small;
  small.records_bytes = 10;
  small.grant = 600;
  CHECK(window.has_room(small));
  Batch batch = lines(1, "{\"a\":1}\n");
  Header header = batch.header();
  header.grant = 600;
  window.sent(std::move(batch).reseal(header), 11);
  CHECK(window.bytes() == 600);
  CHECK_FALSE(window.has_room(small));
  small.grant = 400;
  CHECK(window.has_room(small));
}

TEST_CASE("a batch that is refused again and again is hopeless, unless something is accepted in between") {
  Window window(1 << 20, 16, kHeap);
  window.sent(lines(1, "1\n"), 11);
  window.sent(lines(2, "2\n"), 11);
  window.sent(lines(3, "3\n"), 11);
  Credit refused = passed_on(3, 11, 0);
  refused.refused = true;
  auto refuse = [&](int times) {
    for (int i = 0; i < times; ++i) {
      window.credit(refused);
      resends(window, 11);
    }
  };
  refuse(15);
  CHECK(window.hopeless() == nullptr);
  window.accepted(up_to(1));
  refuse(15);
  CHECK(window.hopeless() == nullptr);
  window.accepted(up_to(1));  // said again
  refuse(1);
  REQUIRE(window.hopeless() != nullptr);
  CHECK(window.hopeless()->header().sequence == 3);
  CHECK(window.oldest()->header().sequence == 2);
}
