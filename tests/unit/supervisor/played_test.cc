// The loop with workers that this test plays: their programs only sleep, and what a worker would say is said here.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/supervisor/signals.h"
#include "daemon/supervisor/supervisor.h"
#include "proto/descriptors.h"
#include "workers/stage/page.h"

using namespace leat;
using namespace leat::supervisor;
using proto::Stage;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

namespace {

class Listening : public Observer {
 public:
  void warning(std::string_view event, std::string_view) override { events.emplace_back(event); }
  void note(std::string_view event, std::string_view) override { events.emplace_back(event); }
  auto count(std::string_view event) const { return std::count(events.begin(), events.end(), event); }
  std::vector<std::string> events;
};

struct Actor {
  Slot slot;
  std::uint32_t instance = 0;
  proto::Socket socket;
  std::optional<stage::MappedPage> page;
  std::vector<proto::Control> heard;

  Actor(proto::Context& context, const std::string& control, const std::string& identity, Slot at)
      : slot(at), socket(context, proto::SocketKind::kDealer, 64, proto::kMaxControlBytes) {
    socket.set_routing_id(identity);
    socket.connect(control);
  }
  void say(const proto::Control& control) {
    proto::Message message = encode(control);
    CHECK(socket.try_send(message));
  }
  void report(proto::ReportKind kind, std::string details = {}, bool retry = false) {
    say(proto::Report{kind, 0, "text", std::move(details), retry});
  }
  void listen() {
    while (auto message = socket.try_receive()) heard.push_back(*proto::decode_control(message->view()));
  }
  template <class T>
  const T* last() const {
    for (auto at = heard.rbegin(); at != heard.rend(); ++at) {
      if (const T* found = std::get_if<T>(&*at)) return found;
    }
    return nullptr;
  }
  bool was_told(proto::StopKind kind) const {
    const auto* stop = last<proto::Stop>();
    return stop != nullptr && stop->kind == kind;
  }
};

Slot slot_of(const proto::WorkerStatus& worker) {
  for (const auto& [stage, name] : names_of(Stage{})) {
    if (name == worker.role) return {stage, static_cast<std::uint32_t>(worker.index)};
  }
  return {};
}

// A pipeline with steps and two processors, in a folder of its own.
struct Play {
  std::string path;
  Job job;
  Listening observer;
  proto::Context context{1};
  std::list<Actor> actors;
  std::list<Child> others;  // processes that join
  std::unique_ptr<Supervisor> supervisor;

  Play() {
    char name[] = "/tmp/leat-test-XXXXXX";
    path = ::mkdtemp(name);
    for (const char* role : {"reader", "filter", "processor", "writer"}) {
      std::string program = path + "/leat-" + role;
      std::ofstream(program) << "#!/bin/sh\nexec sleep 60\n";
      ::chmod(program.c_str(), 0700);
    }
    job.pipeline.name = "test";
    job.pipeline.process.steps.emplace_back();
    job.pipeline.process.workers = {2, 2};
    job.program_folder = path;
    job.runtime_root = path + "/run";
    job.fixed_folder = true;
    job.follow = true;
  }
  ~Play() {
    supervisor.reset();
    fs::remove_all(path);
  }

  std::string runtime() const { return job.runtime_root + "/test"; }
  Layout layout() const { return {job.pipeline, runtime(), 1}; }

  // Runs the supervisor until it is so; false: that took too long.
  template <class Condition>
  bool until(Condition condition, seconds patience = seconds(20)) {
    auto end = Clock::now() + patience;
    while (!condition()) {
      if (Clock::now() >= end) return false;
      round();
    }
    return true;
  }
  void round() {
    proto::Poller poller;
    supervisor->add_to(poller);
    poller.wait(std::min(supervisor->due(), milliseconds(5)));
    if (!supervisor->over()) supervisor->step();
    for (Actor& actor : actors) actor.listen();
  }
  void pass(milliseconds time) {
    auto end = Clock::now() + time;
    while (Clock::now() < end) round();
  }

  // All that were started and nobody plays yet say hello.
  void enter() {
    for (const auto& worker : supervisor->status().workers) {
      const Slot slot = slot_of(worker);
      const auto instance = static_cast<std::uint32_t>(worker.instance);
      if (worker.kind == "joined" || find(slot, instance) != nullptr) continue;
      Actor& actor = actors.emplace_back(context, layout().control(), worker_name(slot, instance), slot);
      actor.instance = instance;
      actor.page.emplace(stage::MappedPage::create(layout().page(slot, instance)));
      actor.say(proto::Hello{slot.stage, slot.index, instance, worker.pid, LEAT_VERSION, false});
    }
  }
  // It says why it ends, and is killed when the supervisor has heard that.
  void fail(Actor& actor) {
    actor.report(proto::ReportKind::kFailed, {}, true);
    actor.report(proto::ReportKind::kWarning);
    const std::string warned = std::string(to_string(actor.slot.stage)) + "-warning";
    const auto before = observer.count(warned);
    REQUIRE(until([&] { return observer.count(warned) > before; }));
    ::kill(static_cast<pid_t>(pid_of(actor)), SIGKILL);
  }
  void start() { supervisor = std::make_unique<Supervisor>(job, observer); }
  void get_ready(Actor& actor) {
    CHECK(until([&] { return actor.last<proto::Welcome>() != nullptr; }));
    actor.page->enter(stage::Activity::kIdle);
    actor.report(proto::ReportKind::kReady, actor.slot.stage == Stage::kWriter ? R"({"epoch":1})" : "");
  }
  // Everybody is at work.
  void begin() {
    start();
    enter();
    get_ready(*find({Stage::kWriter, 0}));
    for (Actor& actor : actors) {
      if (actor.slot.stage == Stage::kFilter || actor.slot.stage == Stage::kProcessor) get_ready(actor);
    }
    get_ready(*find({Stage::kReader, 0}));
    CHECK(until([&] { return supervisor->status().phase == Phase::kRunning; }));
  }
  Actor* find(Slot slot, std::uint32_t instance = 0) {
    for (Actor& actor : actors) {
      if (actor.slot == slot && (instance == 0 || actor.instance == instance)) return &actor;
    }
    return nullptr;
  }
  std::int64_t pid_of(const Actor& actor) const {
    for (const auto& worker : supervisor->status().workers) {
      if (slot_of(worker) == actor.slot && worker.instance == actor.instance) return worker.pid;
    }
    return 0;
  }

  // A process that nobody here has started asks for a place.
  Actor& ask(std::uint64_t number, std::int64_t pid) {
    announce(number, pid);
    Actor& actor = actors.emplace_back(context, layout().control(), "join-" + std::to_string(number),
                                       Slot{Stage::kProcessor, 0});
    actor.say(proto::Hello{Stage::kProcessor, 0, 1, pid, LEAT_VERSION, true});
    return actor;
  }
  void announce(std::uint64_t number, std::int64_t pid) {
    const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0U)));
    std::atomic<bool> done = false;
    std::thread asker([&] {
      auto client = proto::DescriptorClient::connect(runtime() + "/descriptors");
      CHECK(client->join(number, pidfd.get(), -1).has_value());
      done = true;
    });
    CHECK(until([&] { return done.load(); }));
    asker.join();
  }
  std::int64_t other_process() {
    others.push_back(Child::start("/bin/sleep", {"60"}));
    return others.back().pid();
  }
  Actor& join() {
    Actor& actor = ask(3, other_process());
    CHECK(until([&] { return actor.last<proto::Welcome>() != nullptr; }));
    const auto* welcome = actor.last<proto::Welcome>();
    actor.slot.index = welcome->index;
    actor.instance = welcome->instance;
    actor.page.emplace(stage::MappedPage::create(layout().page(actor.slot, actor.instance)));
    get_ready(actor);
    CHECK(until([&] { return worker_ready(actor.instance); }));
    return actor;
  }
  bool worker_ready(std::uint32_t instance) const {
    for (const auto& worker : supervisor->status().workers) {
      if (worker.instance == instance) return worker.state == "idle";
    }
    return false;
  }
};

}  // namespace

TEST_CASE("one that joined and has executed itself again since has one place, not two") {
  Play play;
  play.begin();
  std::int64_t pid = play.other_process();
  Actor& before = play.ask(1, pid);
  CHECK(play.until([&] { return before.last<proto::Welcome>() != nullptr; }));
  Actor& after = play.ask(2, pid);
  CHECK(play.until([&] { return after.last<proto::Welcome>() != nullptr; }));
  CHECK(play.supervisor->status().pool.joined == 1);
}

TEST_CASE("one that joined and is gone from its socket before it was welcomed leaves no place behind") {
  Play play;
  play.start();
  play.enter();
  play.ask(1, play.other_process());
  CHECK(play.until([&] { return play.supervisor->status().pool.joined == 1; }));
  play.actors.pop_back();
  play.pass(milliseconds(300));
  play.get_ready(*play.find({Stage::kWriter, 0}));
  CHECK(play.until([&] { return play.supervisor->status().pool.joined == 0; }));
  CHECK(play.observer.count("worker-lost") <= 1);
}

TEST_CASE("who waited for the writer longer than a start may take is not late") {
  Play play;
  play.start();
  play.enter();
  for (Actor& actor : play.actors) actor.page->set_text("waiting for the sink");
  CHECK(play.until([&] {  // all have said hello
    const auto workers = play.supervisor->status().workers;
    return std::ranges::none_of(workers, &std::string::empty, &proto::WorkerStatus::activity);
  }));
  for (Actor& actor : play.actors) {
    if (actor.slot.stage != Stage::kWriter) actor.page->set_text("");
  }
  play.job.start_up = milliseconds(300);
  play.pass(milliseconds(600));
  play.get_ready(*play.find({Stage::kWriter, 0}));
  CHECK(play.until([&] { return play.find({Stage::kFilter, 0})->last<proto::Welcome>() != nullptr; }));
  CHECK(play.find({Stage::kFilter, 0})->last<proto::Stop>() == nullptr);
}

TEST_CASE(
    "a draining worker that is idle does not wait for ever for a dealer that has not said it is drained") {
  Play play;
  play.begin();
  REQUIRE(play.supervisor->scale(1));
  Actor& last = *play.find({Stage::kProcessor, 1});
  CHECK(play.until([&] { return play.find({Stage::kFilter, 0})->last<proto::MemberDraining>() != nullptr; }));
  REQUIRE(play.until([&] { return last.was_told(proto::StopKind::kDrain); }));
  CHECK(last.last<proto::Stop>()->kind == proto::StopKind::kDrain);
}

TEST_CASE("a draining worker that joined gets stop when everything ends") {
  Play play;
  play.begin();
  Actor& joined = play.join();
  joined.report(proto::ReportKind::kLeave);
  auto* draining = static_cast<const proto::MemberDraining*>(nullptr);
  Actor& filter = *play.find({Stage::kFilter, 0});
  CHECK(play.until([&] {
    draining = filter.last<proto::MemberDraining>();
    return draining != nullptr;
  }));
  filter.say(proto::MemberDrained{draining->index, draining->instance});
  REQUIRE(play.until([&] { return joined.was_told(proto::StopKind::kDrain); }));
  CHECK(joined.last<proto::Stop>()->kind == proto::StopKind::kDrain);
  play.supervisor->leave();
  CHECK(play.until([&] { return play.supervisor->over(); }));
  CHECK(play.until([&] { return joined.was_told(proto::StopKind::kNow); }));
}

TEST_CASE("a supervisor that goes without a farewell tells those that joined to join again") {
  Play play;
  play.begin();
  Actor& joined = play.join();
  play.supervisor.reset();
  for (int i = 0; i < 100 && joined.last<proto::Stop>() == nullptr; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    joined.listen();
  }
  REQUIRE(joined.last<proto::Stop>() != nullptr);
  CHECK(joined.last<proto::Stop>()->rejoin);
}

TEST_CASE("a processor that cannot be started does not take the others with it") {
  Play play;
  play.begin();
  fs::remove(play.path + "/leat-processor");
  REQUIRE(play.supervisor->scale(3));
  CHECK(play.until([&] { return play.observer.count("pool-not-grown") == 1; }));
  CHECK_NOTHROW(play.pass(milliseconds(300)));
  CHECK_FALSE(play.supervisor->over());
  CHECK(play.supervisor->status().pool.own == 2);
  CHECK(play.observer.count("pool-not-grown") == 1);
}

TEST_CASE("drained while the sink is unavailable it does not wait for the sink for ever") {
  Play play;
  play.job.drain_patience = milliseconds(300);
  play.begin();
  play.fail(*play.find({Stage::kWriter, 0}));
  CHECK(play.until([&] { return play.observer.count("sink-unavailable") == 1; }));
  play.supervisor->drain();
  CHECK(play.until([&] { return play.supervisor->over(); }, seconds(8)));
  CHECK(play.supervisor->take_outcome().exit_code == kExitStopped);
}

TEST_CASE("one that joined and never got ready does not hide that batches were lost") {
  Play play;
  play.begin();
  Actor& joined = play.ask(3, play.other_process());
  CHECK(play.until([&] { return joined.last<proto::Welcome>() != nullptr; }));
  Actor& reader = *play.find({Stage::kReader, 0});
  (*reader.page)->window_batches = 1;
  REQUIRE(play.until([&] { return reader.last<proto::Resend>() != nullptr; }, seconds(8)));
  CHECK(reader.last<proto::Resend>()->instance == 0);
}

TEST_CASE("a stop waits for the last stage, then for the writer, and everybody stays until it is through") {
  Play play;
  play.begin();
  play.supervisor->stop();
  Actor& first = *play.find({Stage::kProcessor, 0});
  Actor& second = *play.find({Stage::kProcessor, 1});
  Actor& reader = *play.find({Stage::kReader, 0});
  Actor& writer = *play.find({Stage::kWriter, 0});
  CHECK(play.until([&] { return second.was_told(proto::StopKind::kFinish); }));
  CHECK(play.until([&] { return reader.was_told(proto::StopKind::kFinish); }));
  CHECK(play.supervisor->status().phase == Phase::kStopping);
  first.report(proto::ReportKind::kFinished);
  play.pass(milliseconds(100));
  CHECK(writer.last<proto::Stop>() == nullptr);
  second.report(proto::ReportKind::kFinished);
  CHECK(play.until([&] { return writer.was_told(proto::StopKind::kFinish); }));
  play.pass(milliseconds(100));
  CHECK_FALSE(first.was_told(proto::StopKind::kNow));
  writer.report(proto::ReportKind::kDone, R"({"stopped":true})");
  CHECK(play.until([&] { return first.was_told(proto::StopKind::kNow); }));
  CHECK(play.until([&] { return play.supervisor->over(); }, seconds(8)));
  CHECK(play.supervisor->take_outcome().details == R"({"stopped":true})");
}

TEST_CASE("a worker that does not finish its record in time is not waited for, nor a drain, nor a commit") {
  Play play;
  play.job.drain_patience = milliseconds(200);
  play.job.stop_patience = milliseconds(100);
  play.begin();
  Actor& writer = *play.find({Stage::kWriter, 0});
  play.supervisor->drain();
  CHECK(play.until([&] { return play.observer.count("drain-late") == 1; }));
  CHECK(play.until([&] { return writer.was_told(proto::StopKind::kFinish); }));
  CHECK(play.observer.count("worker-late") == 2);
  CHECK(play.until([&] { return play.supervisor->over(); }));
  CHECK(play.observer.count("commit-late") == 1);
  CHECK(play.supervisor->take_outcome().exit_code == kExitStopped);
}

TEST_CASE("two requests to stop within half a second are one") {
  StopRequests requests;
  auto now = Clock::now();
  CHECK(requests.take(false, now) == StopRequests::kNone);
  CHECK(requests.take(true, now) == StopRequests::kFirst);
  CHECK(requests.take(true, now + milliseconds(1)) == StopRequests::kNone);
  CHECK(requests.take(true, now + milliseconds(499)) == StopRequests::kNone);
  CHECK(requests.take(true, now + milliseconds(500)) == StopRequests::kAgain);
}

TEST_CASE("batches that are lost again and again end it, with the reader's word for which") {
  Play play;
  play.begin();
  Actor& reader = *play.find({Stage::kReader, 0});
  (*reader.page)->window_batches = 1;
  REQUIRE(play.until([&] { return reader.last<proto::GiveUp>() != nullptr; }, seconds(30)));
  CHECK(play.observer.count("batches-lost") == 3);
  reader.say(proto::Report{proto::ReportKind::kFailed, kExitBug, "batch 1 of a.jsonl", {}, false});
  CHECK(play.until([&] { return play.supervisor->over(); }));
  Outcome outcome = play.supervisor->take_outcome();
  CHECK(outcome.exit_code == kExitBug);
  CHECK(outcome.failure == "batch 1 of a.jsonl");
}

TEST_CASE("lost now and then is not lost again and again") {
  Play play;
  play.begin();
  Actor& reader = *play.find({Stage::kReader, 0});
  Actor& writer = *play.find({Stage::kWriter, 0});
  (*reader.page)->window_batches = 1;
  for (int times = 1; times <= 5; ++times) {
    REQUIRE(play.until([&] { return play.observer.count("batches-lost") == times; }, seconds(10)));
    (*writer.page)->sequence += 1;
  }
  CHECK(reader.last<proto::GiveUp>() == nullptr);
}

TEST_CASE("without progress and without a reason it ends; what is known to take its time is a reason") {
  Play play;
  play.job.no_progress = milliseconds(400);
  play.begin();
  Actor& reader = *play.find({Stage::kReader, 0});
  Actor& filter = *play.find({Stage::kFilter, 0});
  Actor& processor = *play.find({Stage::kProcessor, 0});
  Actor& writer = *play.find({Stage::kWriter, 0});
  auto lasts = [&] {
    play.pass(milliseconds(1000));
    return reader.last<proto::GiveUp>() == nullptr;
  };
  filter.page->enter(stage::Activity::kBlocked);
  CHECK(lasts());  // nothing to do
  (*reader.page)->window_batches = 1;
  (*reader.page)->failing = 1;
  CHECK(lasts());
  (*reader.page)->failing = 0;
  writer.page->enter(stage::Activity::kBusy);
  CHECK(lasts());
  writer.page->enter(stage::Activity::kIdle);
  processor.page->enter(stage::Activity::kBusy);
  (*processor.page)->at_guarded = 1;
  (*processor.page)->at_source = 1;
  CHECK(lasts());
  (*processor.page)->at_source = 0;
  REQUIRE(play.until([&] { return reader.last<proto::GiveUp>() != nullptr; }));
  CHECK(play.observer.count("no-progress") == 1);
  CHECK(play.until([&] { return play.supervisor->over(); }));  // the reader has nothing to say
  Outcome outcome = play.supervisor->take_outcome();
  CHECK(outcome.exit_code == kExitBug);
  CHECK(outcome.failure.find("no progress for") != std::string::npos);
  CHECK(outcome.failure.find("filter-0 is blocked") != std::string::npos);
}

TEST_CASE("paused with a full reader is no want of progress") {
  Play play;
  play.job.no_progress = milliseconds(300);
  play.begin();
  Actor& reader = *play.find({Stage::kReader, 0});
  play.supervisor->pause(true);
  reader.page->enter(stage::Activity::kBlocked);
  play.pass(milliseconds(1000));
  CHECK(reader.last<proto::GiveUp>() == nullptr);
  play.supervisor->pause(false);
  CHECK(play.until([&] { return reader.last<proto::GiveUp>() != nullptr; }));
}

TEST_CASE("a processor that cannot start a program is tried again, and a plain run gives up some time") {
  Play play;
  play.job.follow = false;
  play.job.pipeline.source.give_up = milliseconds(500);
  play.begin();
  std::uint32_t instance = play.find({Stage::kProcessor, 0})->instance;
  play.fail(*play.find({Stage::kProcessor, 0}, instance));
  CHECK(play.until([&] { return play.observer.count("worker-failed") == 1; }));
  auto again = [&] {
    for (const auto& worker : play.supervisor->status().workers) {
      if (slot_of(worker) == Slot{Stage::kProcessor, 0} && worker.instance != instance)
        return static_cast<std::uint32_t>(worker.instance);
    }
    return 0U;
  };
  REQUIRE(play.until([&] { return again() != 0; }));
  CHECK(play.observer.count("sink-unavailable") == 0);
  play.enter();
  play.fail(*play.find({Stage::kProcessor, 0}, again()));
  CHECK(play.until([&] { return play.supervisor->over(); }, seconds(8)));
  CHECK(play.supervisor->take_outcome().exit_code == kExitIo);
}
