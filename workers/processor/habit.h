// Learns from its answers whether a child flushes its stdout after each line, and so how long its silence is
// to be borne before its stdin is closed to get the answers out of it.
//
// The kinds: a child that flushes needs no closing ever, only its timeout counts. One that does not (stdio
// and Python buffer 4 or 8 KiB when stdout is a pipe) gives the rest at the end of its input: waiting for it
// is a waste. Until that is known it is given patience() of silence; a child that turns out to be slow, not
// buffering, gets more.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace leat::processor {

class Habit {
 public:
  using milliseconds = std::chrono::milliseconds;

  explicit Habit(milliseconds timeout)
      : longest_(timeout), patience_(std::clamp(timeout / 2, milliseconds(1), milliseconds(1000))) {}

  bool flushes() const { return kind_ == Kind::kFlushes; }
  bool buffers() const { return kind_ == Kind::kBuffers && children_ % kProbe != 0; }
  milliseconds patience() const { return patience_; }

  // Its stdout was read empty. `flushed`: what came since it was empty before ends with a line, and is less
  // than any usual buffer holds (Python's runs over at the end of a line) or a single line; three times in a
  // row is no accident. `unanswered`: there are more answers to come. `closed`: its stdin is, so the last answers
  // say nothing.
  void read(bool flushed, bool unanswered, bool closed) {
    flushed = flushed && (unanswered || !closed);
    flushed_reads_ = flushed ? flushed_reads_ + 1 : 0;
    if (flushed && (!unanswered || flushed_reads_ >= 3) && trusted_) kind_ = Kind::kFlushes;
  }
  // As far as this child has shown.
  bool seems_to_flush() const { return flushes() || flushed_reads_ > 0; }

  // The first answer after its stdin was closed for its silence: `after_close` later, `silence` in all.
  void answered_after_close(milliseconds after_close, milliseconds silence) {
    if (flushes()) {  // it flushes, but not every line
      trusted_ = false;
      kind_ = Kind::kBuffers;
    } else if (after_close > patience_ / 4) {  // closing is not what made it speak
      patience_ = std::min(longest_, 2 * silence);
    } else if (kind_ == Kind::kUnknown && ++held_back_ >= 2) {  // once may be chance
      kind_ = Kind::kBuffers;
      patience_ = std::min(longest_, 2 * patience_);  // for the probes
    }
  }

  void restarted() {
    flushed_reads_ = 0;
    ++children_;
  }

 private:
  enum class Kind : std::uint8_t { kUnknown, kFlushes, kBuffers };
  // every so often a child that buffers gets time to prove that it does not
  static constexpr std::uint64_t kProbe = 64;

  Kind kind_ = Kind::kUnknown;
  bool trusted_ = true;  // what looks like flushing is believed
  int flushed_reads_ = 0;
  int held_back_ = 0;
  std::uint64_t children_ = 0;
  milliseconds longest_;
  milliseconds patience_;
};

}  // namespace leat::processor
