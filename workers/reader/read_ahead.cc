// One thread, two ways to end it. Normally it sees the stop flag between two chunks and is joined. But a
// thread in a read() from a dead server cannot be ended by anything, and its process must still leave: so all
// that the thread uses is in Shared, which it owns together with the ReadAhead, and the ReadAhead may go
// first.
#include "workers/reader/read_ahead.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "workers/reader/io_thread.h"
#include "workers/reader/shared.h"

namespace leat::reader {
namespace {

constexpr std::chrono::milliseconds kGrace{200};

}  // namespace

ReadAhead::ReadAhead(Options options) : shared_(std::make_shared<Shared>(std::move(options))) {
  shared_->board.set(Doing::kStarting, "");
  thread_ = std::thread([shared = shared_] {
    End end;
    try {
      end = IoThread(shared).run();
    } catch (const std::exception& error) {
      end.error = Error{Fault::kFatal, fmt::format("the reading thread ended: {}", error.what())};
    }
    shared->board.set(Doing::kEnded, "");
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

void ReadAhead::committed(std::uint64_t source) {
  shared_->queue.committed(source);
}

void ReadAhead::request_stop() {
  shared_->queue.stop();
}

ReadAhead::Status ReadAhead::status() const {
  return shared_->board.status();
}

}  // namespace leat::reader
