#include "proto/batch.h"
#include "proto/payload_pool.h"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace leat;
using namespace leat::proto;

namespace {

Header sample_header() {
  Header header;
  header.kind = BatchKind::kRecords;
  header.flags = Header::kUnterminated;
  header.pipeline = pipeline_id("reviews");
  header.epoch = 7;
  header.sequence = 42;
  header.source = 3;
  header.first_line = 1001;
  header.first_offset = 5'000'000'000;
  header.end_line = 1004;
  header.end_offset = 5'000'000'030;
  header.frame_offset = 900;
  header.frame_raw_offset = 4'999'999'000;
  header.in = 4;
  header.kept = 2;
  header.dropped = 1;
  header.rejected = 1;
  header.out = 2;
  header.attempt = 1;
  header.filter_us = 17;
  header.process_us = 23;
  header.dealt_by = 2;
  header.tail_bytes = 65'536;
  header.tail_hash = 0x0123456789ABCDEF;
  header.grant = 524'288;
  header.part = 3;
  header.made = 77;
  return header;
}

Batch sample_batch() {
  Buffer records(64, kHeaderBytes);
  records.append("{\"a\":1}\n{\"b\":\"\xc3\xa4\"}\n");
  Buffer rejects(64);
  encode_reject(rejects, Reject{{2, 18}, Stage::kFilter, 1, false, 0, "malformed JSON at byte 1", "{x"});
  encode_reject(rejects, Reject{{3, 21}, Stage::kReader, 1, true, 20'000'000, "longer than max_record", {}});
  std::vector<TableEntry> table{{{0, 0}, 0}, {{1, 8}, 2}};
  return Batch::seal(sample_header(), std::move(records), table, rejects.view());
}

std::string bytes_of(const Batch& batch) {
  return std::string(batch.share_inline().view());
}

Result<Batch> decode(const std::string& bytes) {
  PayloadPool pool;
  return Batch::decode(Message(bytes), 1 << 20, pool);
}

std::string golden(const std::string& name) {
  std::ifstream in(std::string(LEAT_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

}  // namespace

TEST_CASE("a batch comes out of a message as it went in") {
  auto batch = decode(bytes_of(sample_batch()));
  REQUIRE(batch.has_value());
  CHECK(batch->records() == "{\"a\":1}\n{\"b\":\"\xc3\xa4\"}\n");
  const Header& header = batch->header();
  CHECK(header.sequence == 42);
  CHECK(header.first_offset == 5'000'000'000);
  CHECK(header.frame_raw_offset == 4'999'999'000);
  CHECK(header.in == header.kept + header.dropped + header.rejected);
  CHECK(header.dealt_by == 2);
  CHECK(header.tail_bytes == 65'536);
  CHECK(header.tail_hash == 0x0123456789ABCDEF);
  CHECK(header.table_entries == 2);
  std::vector<TableEntry> table;
  batch->table(table);
  CHECK(table.at(1).origin.offset_delta == 8);
  CHECK(table.at(1).before == 2);
  CHECK(header.grant == 524'288);
  CHECK(header.part == 3);
  CHECK(header.made == 77);
  std::vector<std::string> reasons;
  REQUIRE(decode_rejects(batch->rejects(), [&](const Reject& reject) {
            reasons.push_back(std::string(reject.reason) + "/" + std::string(reject.record) + "/" +
                              std::to_string(reject.record_bytes));
          }).has_value());
  CHECK(reasons ==
        std::vector<std::string>{"malformed JSON at byte 1/{x/2", "longer than max_record//20000000"});
}

TEST_CASE("earlier versions are refused") {
  std::string first = golden("batch-v1.bin");
  REQUIRE_FALSE(first.empty());
  CHECK(decode(first).error().text.find("expected version 4, got 1") != std::string::npos);
  CHECK(decode(golden("batch-v2.bin")).error().text.find("expected version 4, got 2") != std::string::npos);
  CHECK(decode(golden("batch-v3.bin")).error().text.find("expected version 4, got 3") != std::string::npos);
}

TEST_CASE("a cut ends a batch before its end, and takes what only the end has") {
  Header header = sample_header();
  header.cut_at(1002, 5'000'000'018);
  CHECK(header.cut());
  CHECK(header.flags == Header::kCut);
  CHECK(header.end_line == 1002);
  CHECK(header.end_offset == 5'000'000'018);
  CHECK(header.tail_bytes == 0);
  CHECK(header.tail_hash == 0);
}

TEST_CASE("the bytes of version 4 are the golden file's") {
  std::string expected = golden("batch-v4.bin");
  REQUIRE_FALSE(expected.empty());
  CHECK(bytes_of(sample_batch()) == expected);
  CHECK(decode(expected).has_value());
}

TEST_CASE("64 zero bytes follow the payload, whatever the buffer held before") {
  Buffer records(200, kHeaderBytes);
  records.resize(200);
  std::memset(records.data(), 'x', 200);
  records.resize(0);
  records.append("1\n");
  std::string bytes = bytes_of(Batch::seal(Header{}, std::move(records)));
  CHECK(bytes.size() == kHeaderBytes + 2 + kTailPadding);
  CHECK(bytes.substr(kHeaderBytes + 2) == std::string(kTailPadding, '\0'));
}

TEST_CASE("every flipped bit of the header is refused") {
  std::string good = bytes_of(sample_batch());
  for (std::size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    CAPTURE(bit);
    auto batch = decode(bad);
    REQUIRE_FALSE(batch.has_value());
    CHECK(batch.error().fault == Fault::kReject);
  }
}

TEST_CASE("a message cut short or grown is refused") {
  std::string good = bytes_of(sample_batch());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    REQUIRE_FALSE(decode(good.substr(0, size)).has_value());
  }
  CHECK_FALSE(decode(good + '\0').has_value());
}

TEST_CASE("a body over the cap is refused") {
  PayloadPool pool;
  auto batch = Batch::decode(Message(bytes_of(sample_batch())), 100, pool);
  REQUIRE_FALSE(batch.has_value());
  CHECK(batch.error().text.find("over the cap of 100") != std::string::npos);
}

TEST_CASE("another version is refused with both numbers") {
  std::string bytes = bytes_of(sample_batch());
  bytes[4] = 9;
  CHECK(decode(bytes).error().text.find("expected version 4, got 9") != std::string::npos);
}

TEST_CASE("records without a final newline are refused") {
  Buffer records(8, kHeaderBytes);
  records.append("{}");
  CHECK_FALSE(decode(bytes_of(Batch::seal(Header{}, std::move(records)))).has_value());
}

TEST_CASE("an event without a payload needs no buffer") {
  Header header;
  header.kind = BatchKind::kEndOfInput;
  header.sequence = 9;
  auto batch = decode(bytes_of(Batch::seal(header, Buffer())));
  REQUIRE(batch.has_value());
  CHECK(batch->header().kind == BatchKind::kEndOfInput);
  CHECK(batch->records().empty());
}

TEST_CASE("resealing changes the header and keeps the payload") {
  Batch batch = sample_batch();
  Header header = batch.header();
  header.sequence = 43;
  Batch changed = std::move(batch).reseal(header);
  auto decoded = decode(bytes_of(changed));
  REQUIRE(decoded.has_value());
  CHECK(decoded->header().sequence == 43);
  CHECK(decoded->records() == changed.records());
}

TEST_CASE("a rejects section that is cut or lies about its lengths is refused") {
  Buffer rejects(64);
  encode_reject(rejects, Reject{{0, 0}, Stage::kFilter, 1, false, 0, "reason", "record"});
  std::string good(rejects.view());
  auto ignore = [](const Reject&) {};
  CHECK(decode_rejects(good, ignore).has_value());
  for (std::size_t size = 1; size < good.size(); ++size)
    CHECK_FALSE(decode_rejects(good.substr(0, size), ignore).has_value());
  std::string huge = good;
  huge[12] = '\xff';
  huge[13] = '\xff';
  CHECK_FALSE(decode_rejects(huge, ignore).has_value());
}

TEST_CASE("a long reason is cut, not refused") {
  Buffer rejects(64);
  std::string reason(5000, 'r');
  encode_reject(rejects, Reject{{0, 0}, Stage::kFilter, 1, false, 0, reason, "x"});
  std::size_t length = 0;
  CHECK(decode_rejects(rejects.view(), [&](const Reject& reject) {
          length = reject.reason.size();
        }).has_value());
  CHECK(length == kMaxReasonBytes);
}
