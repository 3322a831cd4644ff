#include "workers/writer/reorder.h"

#include <doctest/doctest.h>

#include <string>

using namespace leat;
using writer::Reorder;

namespace {

proto::Batch batch(std::uint64_t sequence, std::uint32_t part = 0, bool cut = false, std::uint32_t mark = 0) {
  proto::Header header;
  header.sequence = sequence;
  header.part = part;
  header.attempt = mark;
  if (cut) header.cut_at(1, 2);
  return proto::Batch::seal(header, Buffer());
}

std::string next(Reorder& reorder) {
  auto popped = reorder.pop();
  if (!popped) return "none";
  const proto::Header& header = popped->header();
  return std::to_string(header.sequence) + "." + std::to_string(header.part) + "/" +
         std::to_string(header.attempt);
}

}  // namespace

TEST_CASE("a sequence number that was cut is followed by its next part, not by the next number") {
  Reorder reorder;
  CHECK(reorder.push(batch(2)));
  CHECK(reorder.push(batch(1, 0, true)));
  CHECK(next(reorder) == "1.0/0");
  CHECK(reorder.next() == 1);
  CHECK(reorder.part() == 1);
  CHECK(next(reorder) == "none");
  CHECK(reorder.push(batch(1, 1, true)));
  CHECK(next(reorder) == "1.1/0");
  CHECK(reorder.push(batch(1, 2)));
  CHECK(next(reorder) == "1.2/0");
  CHECK(reorder.part() == 0);
  CHECK(next(reorder) == "2.0/0");
}

TEST_CASE("a part that was taken, or is there already, is dropped") {
  Reorder reorder;
  CHECK(reorder.push(batch(1, 0, true, 1)));
  CHECK_FALSE(reorder.push(batch(1, 0, true, 2)));
  CHECK(next(reorder) == "1.0/1");
  CHECK_FALSE(reorder.push(batch(1, 0, true, 3)));
  CHECK_FALSE(reorder.push(batch(1, 0, false, 4)));
  CHECK(reorder.push(batch(1, 1, false, 5)));
  CHECK_FALSE(reorder.push(batch(1, 1, true, 6)));
  CHECK(next(reorder) == "1.1/5");
  CHECK_FALSE(reorder.push(batch(1, 1, false, 7)));
  CHECK(reorder.next() == 2);
}
