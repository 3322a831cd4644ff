// The skeleton around a stage: what it is given, and when.
#include "tests/unit/stage/member.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::stage;
using std::chrono::milliseconds;

namespace {

struct Played final : Stage {
  bool wants_batch() override { return wants; }
  void on_batch(proto::Message message) override {
    took += message.view();
    if (on_taken) on_taken();
  }
  void on_control(const proto::Control&) override { took += 'c'; }
  std::optional<milliseconds> on_idle() override {
    took += '.';
    return on_idle_too ? on_idle_too() : std::nullopt;
  }
  void on_timer() override { took += 't'; }

  bool wants = true;
  std::string took;
  std::function<void()> on_taken;
  std::function<std::optional<milliseconds>()> on_idle_too;
};

struct Skeleton {
  Skeleton() : input(member.context(), proto::SocketKind::kPull, 64) {
    input.bind(member.endpoint("in"));
    before.emplace(member.context(), member.endpoint("in"), proto::SocketKind::kPush);
  }
  void send(std::string_view text) { before->send(proto::Message(text)); }

  test::Member member{proto::Stage::kProcessor};
  proto::Socket input;
  std::optional<test::End> before;
  Played stage;
};

}  // namespace

TEST_CASE("a stage gets what there is, then it waits; and after the time that it names it hears so") {
  Skeleton skeleton;
  skeleton.send("a");
  skeleton.send("b");
  auto& took = skeleton.stage.took;
  skeleton.stage.on_idle_too = [&]() -> std::optional<milliseconds> {
    if (took.ends_with("t.")) return std::nullopt;
    return took.find('b') == std::string::npos ? proto::Loop::kForever : milliseconds{1};
  };
  skeleton.member.run(skeleton.stage, &skeleton.input);
  CHECK(took.find('a') < took.find('b'));
  CHECK(took.ends_with("b.t."));
}

TEST_CASE("a stage that wants no batch gets none, and its input does not end its wait") {
  Skeleton skeleton;
  skeleton.stage.wants = false;
  skeleton.send("a");
  skeleton.stage.on_idle_too = [&]() -> std::optional<milliseconds> {
    if (skeleton.stage.took == ".t.t.") skeleton.stage.wants = true;
    if (skeleton.stage.took.ends_with("a.")) return std::nullopt;
    return milliseconds{20};
  };
  skeleton.member.run(skeleton.stage, &skeleton.input);
  CHECK(skeleton.stage.took.starts_with(".t.t."));
  CHECK(skeleton.stage.took.ends_with("a."));
}

TEST_CASE("what came before a stage runs it is told first, and what leaves takes in nothing more") {
  Skeleton skeleton;
  skeleton.member.tell(proto::Pause{true});
  skeleton.send("a");
  skeleton.send("b");
  skeleton.stage.on_idle_too = []() -> std::optional<milliseconds> { return proto::Loop::kForever; };
  skeleton.stage.on_taken = [&] { skeleton.member.ask(proto::StopKind::kNow); };
  skeleton.member.run(skeleton.stage, &skeleton.input);
  CHECK(skeleton.stage.took.starts_with("c"));
  CHECK(skeleton.stage.took.find('b') == std::string::npos);
  CHECK(skeleton.member.leaving());
}

// Two system calls each.
TEST_CASE("while there are batches the supervisor is heard now and then") {
  Skeleton skeleton;
  for (int i = 0; i < 64; ++i) skeleton.send("x");
  int batches = 0;
  skeleton.stage.on_taken = [&] {
    if (++batches == 64) skeleton.member.ask(proto::StopKind::kNow);
  };
  skeleton.stage.on_idle_too = []() -> std::optional<milliseconds> { return proto::Loop::kForever; };
  skeleton.member.run(skeleton.stage, &skeleton.input);
  CHECK(batches == 64);
  CHECK(skeleton.member.polls >= 4);
}

TEST_CASE("a worker that has nothing more to do waits until it is told to leave") {
  Skeleton skeleton;
  skeleton.member.loop().after(milliseconds{1}, [&] { skeleton.member.ask(proto::StopKind::kNow); });
  skeleton.member.wait_to_leave();
  CHECK(skeleton.member.activity() == Activity::kIdle);
}
