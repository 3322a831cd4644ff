#include "proto/arena.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "proto/batch.h"
#include "proto/payload_pool.h"

using namespace leat;
using namespace leat::proto;

namespace {

constexpr std::uint64_t kSlotBytes = 8192;

// A process with memory of its own, which the other ones of the test may map.
struct Process {
  explicit Process(std::uint32_t slots)
      : arena(Arena::create(slots, kSlotBytes)), pool(arena, [this](ArenaId id) -> Result<Fd> {
          ++asked;
          if (id != arena->id() && id != other) return fail(Fault::kRetry, "its maker has gone");
          return Fd(::dup(id == other ? others_memory : arena->memory()));
        }) {}
  void knows(const Process& process) {
    other = process.arena->id();
    others_memory = process.arena->memory();
  }
  Batch batch_of(const std::string& records) const {
    Buffer payload = pool.payload(records.size());
    payload.append(records);
    return Batch::seal(Header{}, std::move(payload));
  }
  Result<Batch> decode(Message message) { return Batch::decode(std::move(message), 1U << 20U, pool); }
  Result<Batch> decode(const std::string& bytes) { return decode(Message(bytes)); }

  int asked = 0;
  ArenaId other = 0;
  int others_memory = -1;
  std::shared_ptr<Arena> arena;
  PayloadPool pool;
};

// The header of a message in a slot, changed at one place, its checksum made to fit.
std::string changed(const Message& message, std::size_t offset, char value) {
  std::string bytes(message.view());
  bytes[offset] = value;
  std::uint64_t sum = XXH3_64bits(bytes.data(), kHeaderBytes - 8);
  for (std::size_t i = 0; i < 8; ++i) bytes[kHeaderBytes - 8 + i] = static_cast<char>(sum >> (8 * i));
  return bytes;
}

}  // namespace

TEST_CASE("pages are as large as the test wants them") {
  const char* bytes =
      std::getenv("LEAT_PAGES_BYTES");  // of tests/pages, which a missing preload leaves out silently
  if (bytes != nullptr) REQUIRE(::sysconf(_SC_PAGESIZE) == std::strtol(bytes, nullptr, 10));
}

TEST_CASE("the lowest free slot is taken, and a slot is free when its last holder lets go") {
  auto arena = Arena::create(2, 100);
  CHECK(arena->slot_bytes() == 4096);
  CHECK(arena->acquire() == 0);
  CHECK(arena->acquire() == 1);
  CHECK_FALSE(arena->acquire());
  arena->announce(0, 7);
  arena->let_go(0);
  CHECK_FALSE(arena->acquire());
  arena->receiver_lets_go(0);
  CHECK(arena->acquire() == 0);
}

TEST_CASE("what a dead receiver held is free again, and nothing of anybody else's") {
  auto arena = Arena::create(3, 100);
  for (std::uint32_t slot : {0U, 1U, 2U}) REQUIRE(arena->acquire() == slot);
  arena->announce(0, 7);
  arena->announce(1, 8);
  for (std::uint32_t slot : {0U, 1U}) arena->let_go(slot);
  arena->reclaim(7);
  CHECK(arena->acquire() == 0);
  CHECK_FALSE(arena->acquire());  // 1 is the receiver's, 2 the producer's
}

TEST_CASE("a hold that passes to a dead receiver after its death was known is found when slots run out") {
  auto arena = Arena::create(1, 100);
  REQUIRE(arena->acquire() == 0);
  arena->announce(0, 7);
  arena->let_go(0);
  arena->reclaim(8);
  CHECK_FALSE(arena->acquire());
  arena->announce(0, 8);  // 7 passes it on and does not know yet
  CHECK(arena->acquire() == 0);
}

TEST_CASE("who passes a received slot on passes the hold on") {
  Process with(1);
  Batch sent = with.batch_of("1\n");
  auto filtered = with.decode(sent.share(5));
  REQUIRE(filtered.has_value());
  sent = with.batch_of("in a message\n");
  {
    Message onward = filtered->share(6);
    *filtered = with.batch_of("2\n");
    CHECK_FALSE(with.arena->acquire());  // 6 has it
    auto processed = with.decode(std::move(onward));
    REQUIRE(processed.has_value());
    CHECK(processed->records() == "1\n");
  }
  CHECK(with.arena->acquire() == 0);
}

TEST_CASE("a batch is announced once; after that it travels with its bytes") {
  Process with(1);
  Batch batch = with.batch_of("{\"a\":1}\n");
  Message first = batch.share(5);
  CHECK(first.size() == kHeaderBytes);
  Message second = batch.share(6);
  CHECK(second.size() > kHeaderBytes);
  auto received = with.decode(std::move(second));
  REQUIRE(received.has_value());
  CHECK(received->records() == "{\"a\":1}\n");
}

TEST_CASE("what the producer writes is what another mapping reads") {
  auto arena = Arena::create(3, kSlotBytes);
  arena->data(2)[5] = 'x';
  auto opened = Arena::open(Fd(::dup(arena->memory())), arena->id());
  REQUIRE(opened.has_value());
  CHECK((*opened)->slots() == 3);
  CHECK((*opened)->slot_bytes() == kSlotBytes);
  CHECK((*opened)->data(2)[5] == 'x');
  CHECK(arena->acquire() == 0);
  CHECK((*opened)->acquire() == 1);  // one set of counts
}

TEST_CASE("what is no arena is refused") {
  FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK_FALSE(Arena::open(Fd(::dup(fileno(file))), 0).has_value());
  CHECK_FALSE(Arena::open(Fd(), 0).has_value());
  Fd unsealed(::memfd_create("leat-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK_FALSE(Arena::sealed(unsealed.get()));
  CHECK_FALSE(Arena::open(std::move(unsealed), 0).has_value());
  auto arena = Arena::create(1, kSlotBytes);
  CHECK(Arena::sealed(arena->memory()));
  CHECK_FALSE(Arena::open(Fd(::dup(arena->memory())), arena->id() + 1).has_value());
  std::fclose(file);
}

TEST_CASE("an arena is asked for once, and again after its maker has gone and another was mapped") {
  Process consumer(1);
  auto send = [&](const Process& from) {
    Batch sent = from.batch_of("1\n");
    CHECK(consumer.decode(sent.share(5)).has_value());
    return consumer.asked;
  };
  Process first(2);
  consumer.knows(first);
  CHECK(send(first) == 1);
  CHECK(send(first) == 1);
  Arena::mark_gone(first.arena->memory());
  CHECK(send(first) == 1);
  Process second(2);
  consumer.knows(second);
  CHECK(send(second) == 2);
  Batch late = first.batch_of("1\n");
  auto refused = consumer.decode(late.share(5));
  CHECK(refused.error().text == "batch: its maker has gone");
  CHECK(refused.error().fault == Fault::kReject);
  CHECK(consumer.asked == 3);
}

TEST_CASE("a batch in another's memory is refused by a process that has no way to get it") {
  Process with(1);
  PayloadPool none;
  auto refused = Batch::decode(with.batch_of("1\n").share(5), 1U << 20U, none);
  CHECK(refused.error().fault == Fault::kReject);
}

TEST_CASE("nobody can take the seals off or close the memory to those who come later") {
  auto arena = Arena::create(1, kSlotBytes);
  CHECK(::ftruncate(arena->memory(), 0) != 0);
  CHECK(::fcntl(arena->memory(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0);
}

TEST_CASE("a batch in a slot is announced by its header alone and gives the slot back at the end") {
  Process with(1);
  {
    Batch sent = with.batch_of("{\"a\":1}\n");
    Message message = sent.share(5);
    CHECK(message.size() == kHeaderBytes);
    auto received = with.decode(std::move(message));
    REQUIRE(received.has_value());
    CHECK(received->records() == "{\"a\":1}\n");
    CHECK(received->records().data()[8] == '\0');
    CHECK_FALSE(with.arena->acquire());
    sent = with.batch_of("2\n");  // no slot is free: this one travels in its message
    CHECK(sent.share(5).size() > kHeaderBytes);
    CHECK_FALSE(with.arena->acquire());  // the receiver still has it
  }
  CHECK(with.arena->acquire() == 0);
}

TEST_CASE("a payload that outgrows its slot moves to the heap with all its bytes") {
  Process with(1);
  Buffer buffer = with.pool.payload(10);
  CHECK(buffer.in_slot());
  std::string expected;
  for (int i = 0; i < 2000; ++i) {
    std::string line = std::to_string(i) + "\n";
    buffer.append(line);
    expected += line;
  }
  CHECK_FALSE(buffer.in_slot());
  CHECK(with.arena->acquire() == 0);
  CHECK(buffer.view() == expected);
}

TEST_CASE("an announcement of a slot or length outside of the arena is refused") {
  Process with(4);
  Batch batch = with.batch_of("1\n");
  Message message = batch.share(5);
  CHECK(with.decode(changed(message, 144, 4)).error().fault == Fault::kReject);  // slot 4 of 0..3
  CHECK_FALSE(with.decode(changed(message, 130, 1)).has_value());                // 64 KiB of records in 8 KiB
  CHECK_FALSE(with.decode(changed(message, 161, '\x7f')).has_value());           // another arena
  CHECK_FALSE(with.decode(std::string(message.view()) + "more").has_value());
}
