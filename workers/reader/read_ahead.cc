// One thread, two ways to end it. Normally it sees the stop flag between two chunks and is joined. But a
// thread in a read() from a dead server cannot be ended by anything, and its process must still leave: so all
// that the thread uses is in Shared, which it owns together with the ReadAhead, and the ReadAhead may go
// first.
//
// An outage is waited out in one place, retry(): whatever was tried (list, open, read) is tried again from
// the last position, with a new descriptor, until it works, the patience ends or the stop comes.
#include "workers/reader/read_ahead.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>
#include <utility>

#include "workers/reader/event_queue.h"
#include "workers/reader/settler.h"

namespace leat::reader {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kGrace{200};

}  // namespace

struct ReadAhead::Shared {
  explicit Shared(Options given)
      : options(std::move(given)),
        queue(options.queue_bytes, options.queue_events),
        target(options.target_bytes) {}

  void set(Doing doing, const std::string& path) {
    const std::lock_guard lock(mutex);
    if (status.doing == doing && status.path == path && doing != Doing::kReading) return;
    status.doing = doing;
    status.since = Clock::now();
    if (status.path != path) status.path = path;
  }

  const Options options;
  EventQueue queue;
  std::atomic<std::size_t> target;
  mutable std::mutex mutex;  // of status
  Status status;
};

// What runs in the thread.
class ReadAhead::Thread {
 public:
  explicit Thread(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), options_(shared_->options), decoders_(options_.zstd_window_bytes) {}

  End run() {
    const bool used_up = options_.follow ? follow() : read_all();
    return {!used_up && !error_, std::move(error_)};
  }

 private:
  using Chosen = std::vector<std::pair<File, Position>>;

  // These return false when they were stopped or given up.
  bool read_all() {
    const std::optional<Listing> listing = list();
    if (!listing) return false;
    Listed listed{0, 0, 0, listing->skipped};
    const Chosen chosen = choose(*listing, listed);
    if (!shared_->queue.push(std::move(listed))) return false;
    return std::all_of(chosen.begin(), chosen.end(),
                       [this](const auto& each) { return read(each.first, each.second); });
  }

  bool follow() {
    Settler settler(options_.source.settle);
    bool first = true;
    for (;;) {
      const std::optional<Listing> listing = list();
      if (!listing) return false;
      if (std::exchange(first, false) &&
          !shared_->queue.push(Listed{listing->files.size(), 0, listing->total_bytes, listing->skipped}))
        return false;
      const Settler::Update update = settler.feed(listing->files, Clock::now());
      for (const File& file : update.changed) {
        if (!shared_->queue.push(SourceChanged{0, file.path, "its size or time changed after it was read"}))
          return false;
      }
      for (const File& file : update.settled) {
        const std::optional<Position> start = decide(file);
        if (start && !read(file, *start)) return false;
      }
      shared_->set(Doing::kPolling, "");
      if (shared_->queue.sleep(options_.source.poll)) return false;
    }
  }

  std::optional<Position> decide(const File& file) const {
    return options_.decide ? options_.decide(file) : Position{};
  }

  // Of a plain run: what will be read, counted in `listed`.
  Chosen choose(const Listing& listing, Listed& listed) const {
    Chosen chosen;
    for (const File& file : listing.files) {
      if (const std::optional<Position> start = decide(file)) {
        listed.files += 1;
        listed.bytes += file.size;
        chosen.emplace_back(file, *start);
      } else {
        listed.done += 1;
      }
    }
    return chosen;
  }

  bool mount_is_there() const {
    return options_.source.require_mount.empty() || is_mount_point(options_.source.require_mount);
  }

  std::string mount_trouble() const { return options_.source.require_mount + ": nothing is mounted there"; }

  // A listing to believe; nullopt: stopped or given up.
  std::optional<Listing> list() {
    Outage outage;
    for (;;) {
      shared_->set(Doing::kListing, "");
      std::string trouble;
      if (mount_is_there()) {
        Listing listing = list_files(options_.source.paths);
        trouble = std::move(listing.trouble);
        if (trouble.empty() && !mount_is_there()) trouble = mount_trouble();
        if (trouble.empty()) {
          clear_trouble();
          return listing;
        }
      } else {
        trouble = mount_trouble();
      }
      if (!retry(outage, "", trouble)) return std::nullopt;
      if (outage.over && !options_.follow) {
        error_ = Error{Fault::kFatal, trouble};
        return std::nullopt;
      }
    }
  }

  struct Outage {
    Clock::time_point since{};  // the first fault
    std::chrono::milliseconds wait{0};
    bool over = false;  // it lasts longer than give_up
  };

  // Waits before the next try; false: stopped.
  bool retry(Outage& outage, const std::string& path, const std::string& trouble) {
    if (outage.wait.count() == 0) outage.since = Clock::now();
    outage.over = Clock::now() - outage.since >= options_.give_up;
    if (outage.over && !options_.follow) return true;
    outage.wait =
        outage.wait.count() == 0 ? options_.backoff : std::min(outage.wait * 2, options_.max_backoff);
    {
      const std::lock_guard lock(shared_->mutex);
      shared_->status.trouble = trouble;
      shared_->status.trouble_since = outage.since;
    }
    shared_->set(Doing::kWaiting, path);
    return !shared_->queue.sleep(outage.wait);
  }

  void clear_trouble() {
    const std::lock_guard lock(shared_->mutex);
    shared_->status.trouble.clear();
  }

  // Delivers one file to its end, however often it must be opened. False: stopped or given up.
  bool read(const File& listed, const Position& start) {
    const std::string& path = listed.path;
    id_ += 1;
    first_.reset();
    position_ = start;
    Outage outage;
    for (;;) {
      const Position before = position_;
      Result<bool> done = read_through(path);
      if (shared_->queue.stopped() || (done && !*done)) return false;
      if (done) break;
      const bool answers = mount_is_there() && ::access(path.c_str(), F_OK) == 0;
      const bool away = done.error().fault == Fault::kRetry || !mount_is_there();
      if (!(position_ == before)) outage = Outage{};
      if (!away) return fail_source(path, done.error().text);
      if (!retry(outage, path, done.error().text)) return false;
      if (!outage.over) continue;
      if (answers) return fail_source(path, done.error().text);
      if (options_.follow) continue;
      error_ = Error{Fault::kFatal, done.error().text};
      return false;
    }
    consumed_before_ += first_->size;
    return shared_->queue.push(SourceEnded{id_, position_}) && report_change(path);
  }

  bool fail_source(const std::string& path, const std::string& reason) {
    clear_trouble();
    consumed_before_ += first_ ? first_->size : 0;
    return shared_->queue.push(SourceFailed{id_, path, position_, reason}) && report_change(path);
  }

  Result<Opened> open(const std::string& path) {
    shared_->set(Doing::kOpening, path);
    if (options_.open) return options_.open(path, position_);
    return decoders_.open(path, options_.source.compression, position_);
  }

  // Opens and reads from position_ on. True: to the clean end; false: stopped.
  Result<bool> read_through(const std::string& path) {
    Result<Opened> opened = open(path);
    if (!opened) return tl::unexpected(std::move(opened.error()));
    if (!first_) {
      first_ = opened->file;
      if (!shared_->queue.push(SourceOpened{id_, opened->file, opened->compression, position_})) return false;
    } else if (!first_->same_content(opened->file)) {
      return fail(Fault::kReject,
                  fmt::format("{} is not the same after an outage: it had {} bytes, and has {}", path,
                              first_->size, opened->file.size));
    }
    LineReader lines(*opened->source, {options_.headroom, options_.source.max_record_bytes, position_});
    for (;;) {
      if (!shared_->queue.has_room(1)) shared_->set(Doing::kBlocked, path);
      if (!shared_->queue.wait_for_room()) return false;
      shared_->set(Doing::kReading, path);
      Result<std::optional<Chunk>> chunk = lines.next(shared_->target.load(std::memory_order_relaxed));
      if (!chunk) return tl::unexpected(std::move(chunk.error()));
      progress(*opened->source);
      if (!*chunk) return true;
      position_ = (*chunk)->after();
      if (!shared_->queue.has_room((*chunk)->payload.size())) shared_->set(Doing::kBlocked, path);
      if (!shared_->queue.push(SourceChunk{id_, std::move(**chunk)})) return false;
    }
  }

  void progress(const ByteSource& source) {
    const std::lock_guard lock(shared_->mutex);
    shared_->status.consumed_bytes = consumed_before_ + source.consumed();
    shared_->status.trouble.clear();
  }

  // A path that is gone was moved or deleted: what was read from the descriptor stands.
  bool report_change(const std::string& path) {
    struct stat found;
    if (!first_ || ::stat(path.c_str(), &found) != 0) return true;
    const File now = make_file(path, found);
    if (now.same_content(*first_)) return true;
    return shared_->queue.push(SourceChanged{
        id_, path,
        fmt::format("it changed while it was read: {} bytes when opened, {} at the end{}", first_->size,
                    now.size, now.size == first_->size ? ", written in between" : "")});
  }

  std::shared_ptr<Shared> shared_;
  const Options& options_;
  Decoders decoders_;
  std::uint64_t id_ = 0;
  std::optional<File> first_;          // the present file when it was first opened
  Position position_;                  // in the present file, behind what was delivered
  std::uint64_t consumed_before_ = 0;  // of the files before
  std::optional<Error> error_;
};

ReadAhead::ReadAhead(Options options) : shared_(std::make_shared<Shared>(std::move(options))) {
  shared_->set(Doing::kStarting, "");
  thread_ = std::thread([shared = shared_] {
    End end;
    try {
      end = Thread(shared).run();
    } catch (const std::exception& error) {
      end.error = Error{Fault::kFatal, fmt::format("the reading thread ended: {}", error.what())};
    }
    shared->set(Doing::kEnded, "");
    shared->queue.push_last(std::move(end));
  });
}

ReadAhead::~ReadAhead() {
  shared_->queue.stop();
  if (shared_->queue.wait_for_last(kGrace)) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

std::optional<Event> ReadAhead::try_pop() {
  return shared_->queue.try_pop();
}

int ReadAhead::fd() const {
  return shared_->queue.fd();
}

void ReadAhead::set_target(std::size_t bytes) {
  shared_->target.store(bytes, std::memory_order_relaxed);
}

void ReadAhead::request_stop() {
  shared_->queue.stop();
}

ReadAhead::Status ReadAhead::status() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->status;
}

}  // namespace leat::reader
