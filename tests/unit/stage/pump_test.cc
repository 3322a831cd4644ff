// The stage in the middle, without processes: what stands before it deals to it and gets its credits, what stands behind it
// receives and answers.
#include "workers/stage/pump.h"

#include <doctest/doctest.h>

#include "tests/unit/stage/member.h"

using namespace leat;
using namespace leat::stage;
using proto::SocketKind;
using std::chrono::milliseconds;

namespace {

// A filter or a processor, between a reader that wants credits and the stage after it.
struct Line {
  explicit Line(bool pool = true) {
    auto& welcome = member.welcome();
    welcome.input = member.endpoint("in");
    welcome.credit_to = {member.endpoint("reader")};
    welcome.outputs = {member.endpoint("next")};
    welcome.output_instances = {50};
    if (pool) welcome.credits = member.endpoint("credits");
    reader.emplace(member.context(), member.endpoint("reader"), SocketKind::kPull);
    pump.emplace(member, Middle{[this](proto::Batch batch) { return transform(std::move(batch)); },
                                &proto::Header::filter_us, true});
    input.emplace(member.context(), member.endpoint("in"), SocketKind::kPush);
    answers.emplace(member.context(), member.endpoint("credits"), SocketKind::kPush);
  }
  void listen() { next.emplace(member.context(), member.endpoint("next"), SocketKind::kPull); }

  proto::Message batch(std::uint64_t sequence, std::uint64_t epoch = 7) const {
    proto::Header header;
    header.epoch = epoch;
    header.pipeline = member.pipeline_id();
    header.sequence = sequence;
    Buffer records(16, proto::kHeaderBytes);
    records.append("{}\n");
    return proto::Batch::seal(header, std::move(records)).share_inline();
  }
  // A processor of the pool, which has instance 50, has done it.
  void answer(std::uint64_t sequence, bool refused = false) {
    proto::Credit credit{7, sequence, 0, 50, 10'000, 1};  // slow: it stays at two
    credit.refused = refused;
    answers->send(encode(credit));
  }
  // Two are unanswered, and the third is made and waits.
  void fill() {
    for (std::uint64_t sequence : {1U, 2U, 3U}) {
      REQUIRE(pump->wants_batch());
      pump->on_batch(batch(sequence));
    }
    CHECK_FALSE(pump->wants_batch());
    CHECK(pump->on_idle() == proto::Loop::kForever);
    for (std::uint64_t sequence : {1U, 2U}) CHECK(reader->credit().sequence == sequence);
  }
  void check_refused(std::uint64_t sequence) {
    auto credit = reader->credit();
    CHECK(credit.sequence == sequence);
    CHECK(credit.refused);
  }

  test::Member member{proto::Stage::kFilter};
  int made = 0;
  std::function<Result<proto::Batch>(proto::Batch)> transform = [this](proto::Batch batch) {
    ++made;
    return batch;
  };
  std::optional<test::End> reader;
  std::optional<test::End> next;
  std::optional<Pump> pump;
  std::optional<test::End> input;
  std::optional<test::End> answers;
};

}  // namespace

TEST_CASE("while the output is full nothing more is taken in, and what was made goes out first") {
  Line line;
  line.listen();
  for (std::uint64_t sequence : {1U, 2U, 3U, 4U, 5U}) line.input->send(line.batch(sequence));
  int quiet = 0;
  line.member.loop().every(milliseconds{5}, [&] {
    if (line.member.activity() == Activity::kBlocked && ++quiet == 5) {
      CHECK(line.made == 3);
      line.answer(1);
    }
    if (line.made == 4) line.member.ask(proto::StopKind::kNow);
  });
  line.pump->run();
  for (std::uint64_t sequence : {1U, 2U, 3U}) {
    CHECK(line.next->batch().sequence == sequence);
    auto credit = line.reader->credit();
    CHECK(credit.sequence == sequence);
    CHECK(credit.dealt_to == 50);
  }
  CHECK(line.next->empty());
  CHECK(line.member.reports(proto::ReportKind::kReady) == 1);
}

TEST_CASE("asked to finish, what waits for room and what comes is given back, and that is said once") {
  Line line;
  line.fill();
  line.member.ask(proto::StopKind::kFinish);
  CHECK(line.pump->wants_batch());
  line.check_refused(3);
  line.pump->on_batch(line.batch(4));
  line.check_refused(4);
  CHECK(line.made == 3);
  for (int i = 0; i < 2; ++i) CHECK(line.pump->on_idle() == proto::Loop::kForever);
  CHECK(line.member.reports(proto::ReportKind::kFinished) == 1);
  CHECK(line.member.activity() == Activity::kIdle);
}

TEST_CASE(
    "a transform that stops in the middle gives its batch back when that was asked for, and ends the worker "
    "otherwise") {
  Line line;
  line.transform = [](const proto::Batch&) { return fail(Fault::kFatal, "stopped", kExitStopped); };
  CHECK_THROWS_AS(line.pump->on_batch(line.batch(1)), Fatal);
  line.transform = [&](const proto::Batch&) {
    line.member.ask(proto::StopKind::kFinish);
    return fail(Fault::kFatal, "stopped", kExitStopped);
  };
  line.pump->on_batch(line.batch(2));
  line.check_refused(2);
  CHECK(line.pump->wants_batch());
}

TEST_CASE("a batch of another epoch is dropped without a word, and one that is damaged is refused") {
  Line line;
  line.pump->on_batch(line.batch(1, 6));
  proto::Message damaged = line.batch(2);
  damaged.data()[proto::kHeaderBytes + 1] ^= 1;
  line.pump->on_batch(proto::Message(damaged.view().substr(0, damaged.size() - 1)));
  line.check_refused(2);
  line.pump->on_batch(proto::Message("no batch"));
  CHECK(line.member.reports(proto::ReportKind::kWarning) == 1);
  CHECK(line.made == 0);
  CHECK(line.pump->wants_batch());
  CHECK(line.reader->empty());
}

TEST_CASE("credits end the wait of what is blocked or has a draining worker behind it, and no other") {
  Line line;
  auto waits = [&] {
    line.pump->on_idle();
    return line.member.loop().run_once(milliseconds{50});
  };
  line.fill();
  line.answer(1);
  CHECK(waits());
  CHECK(line.pump->wants_batch());  // the third has gone
  line.answer(2);
  CHECK_FALSE(waits());
  line.pump->on_control(proto::MemberDraining{0, 50});
  while (line.member.said.empty()) {
    line.answer(3);
    REQUIRE(waits());
  }
  CHECK(std::get<proto::MemberDrained>(line.member.said.front()).instance == 50);
}

TEST_CASE("what the next stage refuses, the reader hears of") {
  Line line;
  line.fill();
  line.answer(1, true);
  while (!line.pump->wants_batch()) REQUIRE(line.member.loop().run_once(std::chrono::seconds{10}));
  line.check_refused(1);
}

TEST_CASE("drained, it stays until what it made has been taken") {
  Line line(false);
  line.listen();
  auto arena = proto::Arena::create(4, 4096);
  line.member.use(std::make_shared<proto::PayloadPool>(arena));
  line.transform = [&](const proto::Batch& batch) -> Result<proto::Batch> {
    Buffer records = line.member.payloads()->payload(16);
    records.append("{}\n");
    return proto::Batch::seal(batch.header(), std::move(records));
  };
  line.pump->on_batch(line.batch(1));
  CHECK(line.pump->wants_batch());
  line.member.ask(proto::StopKind::kDrain);
  CHECK(line.pump->on_idle() == milliseconds{10});
  CHECK(line.member.activity() == Activity::kIdle);
  line.member.payloads()->reclaim(50);  // as if the writer had given it back
  CHECK(line.pump->on_idle() == std::nullopt);
}

TEST_CASE("when the writer's queue is full the same batch is sent again, and none twice") {
  Line line(false);
  std::uint64_t sequence = 0;
  while (line.pump->wants_batch()) line.pump->on_batch(line.batch(++sequence));
  CHECK(line.member.activity() == Activity::kBlocked);
  CHECK(line.pump->on_idle() == milliseconds{20});
  line.member.ask(proto::StopKind::kFinish);
  CHECK_FALSE(line.pump->wants_batch());  // it is done, and stays until it is away
  line.listen();
  for (std::uint64_t next = 1; next <= sequence; ++next) {
    REQUIRE(line.next->batch().sequence == next);
    line.pump->wants_batch();
  }
  CHECK(line.pump->wants_batch());
  CHECK(line.next->empty());
}
