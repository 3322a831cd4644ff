#include "proto/dealer.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "proto/payload_pool.h"

using namespace leat;
using namespace leat::proto;
using std::chrono::milliseconds;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/leat-dealer-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string endpoint(const std::string& name) const { return "ipc://" + path + "/" + name; }
  std::string path;
};

// A worker of the pool: its input, and what it has received.
struct Inputs {
  Inputs(Context& context, const Folder& folder, int count) {
    for (int i = 0; i < count; ++i) {
      endpoints.push_back(folder.endpoint("w" + std::to_string(i)));
      inputs.push_back(std::make_unique<Socket>(context, SocketKind::kPull, 16));
      inputs.back()->bind(endpoints.back());
    }
  }
  // Waits until a message is there; fails the test after 10 s.
  Batch receive(std::size_t worker) {
    Poller poller;
    poller.add(*inputs[worker]);
    REQUIRE(poller.wait(milliseconds(10'000)));
    PayloadPool pool;
    auto batch = Batch::decode(std::move(*inputs[worker]->try_receive()), 1 << 20, pool);
    REQUIRE(batch.has_value());
    return *std::move(batch);
  }
  std::vector<std::string> endpoints;
  std::vector<std::unique_ptr<Socket>> inputs;
};

Batch numbered(std::uint64_t sequence) {
  Header header;
  header.epoch = 1;
  header.sequence = sequence;
  return Batch::seal(header, Buffer());
}

}  // namespace

TEST_CASE(
    "no worker is dealt more than two unanswered batches at first, and a credit makes room for its sender") {
  Folder folder;
  Context context;
  Inputs pool(context, folder, 2);
  Dealer dealer(context, pool.endpoints, {11, 12}, folder.endpoint("credits"));
  for (std::uint64_t sequence = 1; sequence <= 4; ++sequence) {
    REQUIRE(dealer.ready());
    Batch batch = numbered(sequence);
    CHECK(dealer.deal(batch) == (sequence % 2 == 1 ? 11 : 12));
  }
  CHECK_FALSE(dealer.ready());
  for (std::size_t worker : {0U, 1U}) {
    for (int i = 0; i < 2; ++i) pool.receive(worker);
    CHECK_FALSE(pool.inputs[worker]->try_receive().has_value());
  }

  Socket answers(context, SocketKind::kPush, 16);
  answers.connect(folder.endpoint("credits"));
  Poller poller;
  poller.add(dealer.credits());
  auto answer = [&](const Credit& credit) {
    Message message = encode(credit);
    REQUIRE(answers.try_send(message));
    REQUIRE(poller.wait(milliseconds(10'000)));
    dealer.collect(1);
  };
  answer(Credit{2, 1, 1, 12, 10, 1});
  CHECK_FALSE(dealer.ready());  // a credit of another epoch is none
  answer(Credit{1, 3, 1, 10, 500, 5});
  CHECK_FALSE(dealer.ready());  // nor is one of the worker that was at that index before
  answer(Credit{1, 3, 1, 12, 500, 5});
  CHECK(dealer.ready());
  CHECK(dealer.record_us() == doctest::Approx(100));
  Batch fifth = numbered(5);
  dealer.deal(fifth);
  CHECK(pool.receive(1).header().sequence == 5);
}

TEST_CASE("a worker gets more while it is fast, and one quick batch does not make it fast") {
  Folder folder;
  Context context;
  Inputs pool(context, folder, 1);
  Dealer dealer(context, pool.endpoints, {1}, folder.endpoint("credits"));
  Socket answers(context, SocketKind::kPush, 1000);
  answers.connect(folder.endpoint("credits"));
  Poller poller;
  poller.add(dealer.credits());
  int unanswered = 0;
  // One is answered; then it is dealt as many as it may have.
  auto unanswered_after = [&](std::uint32_t service_us, std::uint32_t records) {
    Message message = encode(Credit{1, 1, 0, 1, service_us, records});
    REQUIRE(answers.try_send(message));
    REQUIRE(poller.wait(milliseconds(10'000)));
    dealer.collect(1);
    for (unanswered = std::max(0, unanswered - 1); dealer.ready(); ++unanswered) {
      Batch batch = numbered(1);
      dealer.deal(batch);
    }
    return unanswered;
  };
  CHECK(unanswered_after(400, 100) == Dealer::kMaxUnansweredFast);
  for (int i = 0; i < 10; ++i) unanswered_after(90'000, 9);
  CHECK(unanswered_after(90'000, 9) == Dealer::kMaxUnanswered);
  CHECK(unanswered_after(5, 0) == Dealer::kMaxUnanswered);  // the end of a source
  CHECK(unanswered_after(5, 9) == Dealer::kMaxUnanswered);  // the filter dropped all
  for (int i = 0; i < 10; ++i) unanswered_after(400, 100);
  CHECK(unanswered_after(400, 100) == Dealer::kMaxUnansweredFast);
}

TEST_CASE("an empty index is dealt nothing until another worker has it") {
  Folder folder;
  Context context;
  Inputs pool(context, folder, 2);
  Dealer dealer(context, pool.endpoints, {1, 0}, folder.endpoint("credits"));
  auto deal = [&](std::uint64_t sequence) {
    Batch batch = numbered(sequence);
    return dealer.deal(batch);
  };
  CHECK(deal(1) == 1);
  CHECK(deal(2) == 1);
  CHECK_FALSE(dealer.ready());
  dealer.add({1, 5, pool.endpoints[1]});
  CHECK(deal(3) == 5);
  dealer.remove({1, 5});
  CHECK_FALSE(dealer.ready());
  dealer.remove({1, 5});
  dealer.add({1, 4, pool.endpoints[1]});  // late news of one that came before
  CHECK_FALSE(dealer.ready());
  dealer.remove({0, 1});
  dealer.add({0, 6, pool.endpoints[0]});
  CHECK(deal(4) == 6);  // what its forerunner had not answered does not count
  CHECK(deal(5) == 6);
}

TEST_CASE("a draining worker gets nothing more, and is drained when all its credits are back") {
  Folder folder;
  Context context(1);
  Inputs pool(context, folder, 2);
  Dealer dealer(context, pool.endpoints, {1, 2}, folder.endpoint("credits"));
  Socket back(context, SocketKind::kPush, 16);
  back.connect(folder.endpoint("credits"));
  Batch first = numbered(1), second = numbered(2), third = numbered(3);
  CHECK(dealer.deal(first) == 1);
  CHECK(dealer.deal(second) == 2);
  dealer.drain({0, 1});
  CHECK(dealer.draining());
  CHECK(dealer.take_drained().empty());
  CHECK(dealer.deal(third) == 2);
  CHECK(pool.receive(0).header().sequence == 1);  // what it was dealt it still gets
  Credit credit;
  credit.epoch = 1;
  credit.sequence = 1;
  credit.worker = 0;
  credit.instance = 1;
  Message message = encode(credit);
  REQUIRE(back.try_send(message));
  Poller poller;
  poller.add(dealer.credits());
  REQUIRE(poller.wait(milliseconds(10'000)));
  dealer.collect(1);
  CHECK_FALSE(dealer.draining());
  auto drained = dealer.take_drained();
  REQUIRE(drained.size() == 1);
  CHECK(drained[0].index == 0);
  CHECK(drained[0].instance == 1);
  CHECK(dealer.take_drained().empty());
  dealer.add({0, 7, pool.endpoints[0]});
  Batch fourth = numbered(4);
  CHECK(dealer.deal(fourth) == 7);
}

TEST_CASE(
    "a worker without unanswered batches, or that was never there, is drained at once; new indexes come at "
    "the end") {
  Folder folder;
  Context context(1);
  Inputs pool(context, folder, 3);
  Dealer dealer(context, {pool.endpoints[0]}, {1}, folder.endpoint("credits"));
  dealer.drain({0, 1});
  dealer.drain({5, 9});
  CHECK(dealer.take_drained().size() == 2);
  CHECK_FALSE(dealer.ready());
  dealer.add({2, 4, pool.endpoints[2]});
  Batch batch = numbered(1);
  CHECK(dealer.deal(batch) == 4);
  dealer.add({Dealer::kMaxMembers, 5, pool.endpoints[1]});  // beyond all indexes: ignored
  Batch more = numbered(2);
  CHECK(dealer.deal(more) == 4);
}

TEST_CASE("a flow message of another kind or length is refused") {
  Credit credit{5, 6, 7, 3, 8, 9, 4, true};
  Message message = encode(credit);
  auto decoded = decode_credit(message.view());
  REQUIRE(decoded.has_value());
  CHECK(decoded->epoch == 5);
  CHECK(decoded->instance == 3);
  CHECK(decoded->records == 9);
  CHECK(decoded->dealt_to == 4);
  CHECK(decoded->refused);
  CHECK_FALSE(decode_accepted(message.view()).has_value());
  CHECK_FALSE(decode_credit(message.view().substr(1)).has_value());
  Message accepted = encode(Accepted{1, 2, 3, 4, 5});
  CHECK(decode_accepted(accepted.view())->committed == 3);
}
