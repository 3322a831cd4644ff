#include "workers/stage/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "config/budget.h"
#include "proto/descriptors.h"
#include "workers/stage/limits.h"
#include "workers/stage/service.h"

// How a worker becomes one of a pipeline: it learns what it is for, gives up the rights that it does not need for that, says
// hello and is welcomed. One that joins by itself may have to wait for its supervisor, and does all that again when that has
// gone.

namespace leat::stage {

namespace {

// Usual batches are below the mmap threshold and reuse warm pages; otherwise each costs a page fault per 4 KiB, more than
// everything else done with it. Larger records are mapped, and given back when they are freed.
void tune_malloc(std::uint64_t batch_bytes) {
  const int larger_is_mapped = static_cast<int>(std::min<std::uint64_t>(6 * batch_bytes, 32 * config::kMiB));
  ::mallopt(M_MMAP_THRESHOLD, larger_is_mapped);
  ::mallopt(M_TRIM_THRESHOLD, larger_is_mapped);
  ::mallopt(M_TOP_PAD, std::min(larger_is_mapped, 256 * 1024));
}

using std::chrono::milliseconds;

constexpr int kControlHighWaterMark = 64;
constexpr milliseconds kJoinPatience{30'000};
constexpr milliseconds kHelloAgain{2'000};
constexpr milliseconds kAnnounceAgain{100};

Fd open_signals() {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigaddset(&mask, SIGHUP);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // write() says EFBIG instead
  return Fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::string page_path(const std::string& runtime, proto::Stage role, std::uint32_t index,
                      std::uint32_t instance) {
  return fmt::format("{}/{}-{}.{}.page", runtime, proto::to_string(role), index, instance);
}

bool address_space_is_limited() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

std::string path_of(const std::string& endpoint) {
  constexpr std::string_view kIpc = "ipc://";
  return endpoint.starts_with(kIpc) ? endpoint.substr(kIpc.size()) : endpoint;
}

// Why no supervisor answers there, as far as it can be seen from here.
std::string joining_at(const std::string& endpoint) {
  std::string path = path_of(endpoint);
  if (::access(path.c_str(), W_OK) == 0) return fmt::format("waiting for the supervisor at {}", endpoint);
  if (errno == EACCES) {
    return fmt::format(
        "{}: permission denied; it must be started as the user that leatd runs as (sudo -u leat ...)", path);
  }
  return fmt::format("{}: {}; waiting for leatd to run that pipeline", path,
                     std::system_category().message(errno));
}

}  // namespace

Worker::Worker(proto::Stage role, const Arguments& arguments)
    : role_(role),
      index_(arguments.index),
      instance_(arguments.instance),
      control_endpoint_(arguments.join.empty() ? arguments.control : arguments.join),
      join_(arguments.join),
      signals_(open_signals()),
      context_(1) {
  if (join_.empty()) {
    page_.emplace(MappedPage::create(page_path(arguments.runtime_dir, role, index_, instance_)));
    descriptors_ = arguments.runtime_dir + "/descriptors";
    return;
  }
  if (::getrandom(&number_, sizeof number_, 0) != static_cast<ssize_t>(sizeof number_)) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  const std::string control = path_of(join_);
  descriptors_ = control.substr(0, control.rfind('/') + 1) + "descriptors";
}

// What it is for, and with that what it may do: known and done before there are sockets and threads.
void Worker::learn(const Confinement& confinement) {
  if (!join_.empty()) {
    wait_for_supervisor();
    if (leaving_) return;
  } else {
    auto client = value_or_fatal(proto::DescriptorClient::connect(descriptors_));
    take_briefing(value_or_fatal(client.briefing()));
  }
  if (!failure_) confine_by(confinement);
  connect();
}

void Worker::wait_for_supervisor() {
  std::string said;
  while (!leaving_ && !announce()) {
    if (std::string state = joining_at(join_); state != said) {
      say(state);
      notify_service_manager("STATUS=" + state);
      said = state;
    }
    pollfd signals{signals_.get(), POLLIN, 0};
    ::poll(&signals, 1, static_cast<int>(kAnnounceAgain.count()));
    poll_control();
  }
}

// A process number means nothing in another PID namespace, so the supervisor gets a pidfd of the one that is about to join,
// which gets one of the supervisor. False: no supervisor is there.
bool Worker::announce() {
  auto client = proto::DescriptorClient::connect(descriptors_);
  if (!client) return false;
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0U)));
  const Fd memory(::open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC));
  if (!self) return false;
  auto joined = client->join(number_, self.get(), memory.get());
  if (!joined) return false;
  supervisor_ = std::move(joined->supervisor);
  take_briefing(joined->briefing);
  return true;
}

void Worker::take_briefing(const Fd& file) {
  auto read = read_briefing(file.get());
  if (!read) {
    failure_ =
        read.error();  // after a hello, so that the supervisor knows; it refuses what is of another release
  } else if (digest_ != 0 && read->digest != digest_) {
    leave(true);  // it has confined itself for the one that it knows
  } else {
    briefing_ = std::move(read->briefing);
    digest_ = read->digest;
  }
}

void Worker::confine_by(const Confinement& confinement) {
  tune_malloc(pipeline().limits.batch_bytes);
  // One that the supervisor has started inherits what is needed; one that joins has the limit of its unit or shell.
  if (auto allowed = allow_descriptors(descriptors_for(pipeline())); !allowed) throw Fatal(allowed.error());
  if (auto confined = confine(confinement(pipeline(), briefing_.surroundings)); !confined)
    failure_ = confined.error();
}

void Worker::connect() {
  if (auto allowed = allow_tasks(kTasksOfSockets); !allowed) throw Fatal(allowed.error());
  control_.emplace(context_, proto::SocketKind::kDealer, kControlHighWaterMark, proto::kMaxControlBytes);
  control_->set_routing_id(join_.empty() ? fmt::format("{}-{}.{}", proto::to_string(role_), index_, instance_)
                                         : fmt::format("join-{:x}", number_));
  control_->connect(control_endpoint_);
}

// One that was started by the supervisor is expected there. One that joins waits for as long as it takes, and asks again:
// the supervisor that it asked may have gone without a word.
void Worker::join() {
  using Clock = std::chrono::steady_clock;
  proto::Poller poller;
  add_to(poller);
  auto begin = Clock::now();
  auto next_hello = begin;
  bool said_hello = false;  // the first announcement was made in learn()
  std::string said;
  while (!welcome_ && !leaving_ && refusal_.empty()) {
    auto now = Clock::now();
    if (now >= next_hello && said_hello && !join_.empty() && !announce()) {
      next_hello = now + kAnnounceAgain;
    } else if (now >= next_hello) {
      said_hello = true;
      send(proto::Hello{role_, index_, instance_, ::getpid(), LEAT_VERSION, !join_.empty()});
      next_hello = join_.empty() ? begin + kJoinPatience : now + kHelloAgain;
    } else if (now - begin >= kJoinPatience && join_.empty()) {
      throw Fatal({Fault::kFatal, "no answer from a supervisor at the control socket: is leat running there?",
                   kExitIo});
    }
    bool heard = poller.wait(std::chrono::duration_cast<milliseconds>(next_hello - now) + milliseconds{1});
    poll_control();
    if (std::string state = joining_at(join_); !heard && !join_.empty() && state != said) {
      say(state);
      notify_service_manager("STATUS=" + state);
      said = state;
    }
  }
  if (!refusal_.empty()) throw Fatal({Fault::kFatal, refusal_, kExitConfig});
  if (leaving_) return;
  if (!join_.empty() && digest_ != 0) take_place();
  if (failure_) throw Fatal(*failure_);
  if (welcome_->briefing != digest_) return leave(true);
  if ((role_ == proto::Stage::kReader && !welcome_->reader) ||
      (role_ == proto::Stage::kWriter && !welcome_->writer)) {
    throw Fatal({Fault::kFatal, "the supervisor has sent the welcome of another role", kExitBug});
  }
  pipeline_id_ = proto::pipeline_id(pipeline().name);
  (*page_)->epoch = welcome_->epoch;
  share_memory();
}

// Without it all is slower, not wrong: payloads travel inside the messages, and what comes in another's memory is refused
// and sent again.
void Worker::share_memory() {
  auto connected = proto::DescriptorClient::connect(descriptors_);
  if (!connected) return warn_of_sharing(connected.error().text);
  auto client = std::make_shared<proto::DescriptorClient>(*std::move(connected));
  payloads_ =
      std::make_shared<proto::PayloadPool>(role_ == proto::Stage::kWriter ? nullptr : make_arena(*client),
                                           [client](proto::ArenaId id) { return client->ask(id); });
}

void Worker::warn_of_sharing(std::string_view why) {
  warn(fmt::format("leat-{}: {}; continuing without it", proto::to_string(role_), why));
}

// As many slots as this worker may have under way; what exceeds them travels inside its message. Null: all does.
std::shared_ptr<proto::Arena> Worker::make_arena(const proto::DescriptorClient& client) {
  if (address_space_is_limited()) {
    // Each consumer maps the memory of each producer: where one cannot, batches would be lost again and again.
    if (role_ == proto::Stage::kReader) {
      warn(
          "the address space is limited (ulimit -v): batches are copied from process to process, which is "
          "slower");
    }
    return nullptr;
  }
  constexpr std::uint32_t kReadAhead = 8;  // in the reader's queue and in the making
  constexpr std::uint32_t kMadeHere =
      8;  // unanswered by the next stage, or waiting for their turn in the writer
  constexpr std::uint32_t kPool = 16;  // that may come while it runs; memory is taken when a slot is used
  std::uint32_t slots =
      role_ == proto::Stage::kReader
          ? welcome_->reader->window_batches + kReadAhead
          : kMadeHere + 2 * std::max(kPool, static_cast<std::uint32_t>(welcome_->outputs.size()));
  // Room for the table of short records, and for records that steps made longer.
  std::uint64_t slot_bytes = pipeline().limits.batch_bytes * 3 / 2 + 8 * config::kKiB;
  try {
    auto arena = proto::Arena::create(std::min(slots, proto::Arena::kMaxSlots), slot_bytes);
    auto offered = client.offer(arena->id(), arena->memory());
    if (offered) return arena;
    warn_of_sharing(offered.error().text);
  } catch (const std::system_error& error) {
    warn_of_sharing(error.what());
  }
  return nullptr;
}

// The name under which it is known from now on is the supervisor's to give.
void Worker::take_place() {
  index_ = welcome_->index;
  instance_ = welcome_->instance;
  page_.emplace(MappedPage::create(page_path(briefing_.surroundings.runtime, role_, index_, instance_)));
}

}  // namespace leat::stage
