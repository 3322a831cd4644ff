// Two pipes and another one's program: how not to deadlock, and what to blame.
//
// Writing a record and then waiting for its answer never deadlocks but leaves the child idle half of the
// time, and hangs on every program that buffers its stdout. So records are written ahead while answers are
// read, both without blocking, in one poll loop. What is unanswered is bounded (kMaxUnansweredBytes), so that a dead
// child costs little work. A child that holds answers back gives them at its end of input: hence closing its
// stdin, once it has been silent with nothing more to be written. To learn which children need that, and not
// to do it to those that are merely slow, is the job of habit.h.
//
// When a child dies, the first record without an answer is to blame, but only if the child flushes: else the
// answers to many innocent records died in its buffer. So no record is condemned on that alone. What was unanswered is
// sent again in groups, at first an eighth of it, that are answered completely before the next one begins; a
// group that kills is split again. Only a record that was alone in the pipe when the child died, and is to
// blame for the second time, is a dead letter. That it answers with one line for each is not assumed: exec_count.cc.
#include "workers/processor/exec.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "proto/base/human.h"

namespace leat::processor {
namespace {

constexpr std::size_t kMaxUnansweredBytes =
    512 * 1024;  // a batch of the usual size, so that one run() is one go
constexpr std::size_t kMaxUnansweredRecords = 4096;
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kKeptBytes = 1024 * 1024;  // a larger buffer is given back after the run
constexpr std::size_t kSmallBuffer = 4096;       // stdio's is at least this, Python's 8192
constexpr std::size_t kLinesAWrite = 256;
constexpr std::size_t kSplit = 8;
constexpr std::uint64_t kSkipped = 8;  // times the longest answer: a line is read and forgotten up to there
constexpr double kGrowthMemory = 16;   // answers
constexpr int kDeathsIfNeverAnswered = 10;
constexpr int kDeathsInARow = 64;
constexpr std::chrono::milliseconds kGrace{1000};  // to exit in, once its stdin is closed
constexpr std::chrono::milliseconds kTick{50};     // between two calls of should_stop
constexpr int kSilentEnds = 6;                     // two of a record

std::string in_words(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? fmt::format("{}s", time.count() / 1000)
                                  : fmt::format("{}ms", time.count());
}

}  // namespace

Exec::Exec(const config::Step& step, std::string working_dir, std::uint64_t max_result_bytes,
           OnWarning on_warning)
    : step_(step),
      name_("exec " + step.command.at(0)),
      working_dir_(std::move(working_dir)),
      max_line_bytes_(max_result_bytes),
      on_warning_(std::move(on_warning)),
      habit_(step.timeout),
      reader_(name_) {
  signal(SIGPIPE, SIG_IGN);
}

Exec::~Exec() {
  if (child_) child_->end(kGrace);
}

Result<void> Exec::start() {
  if (child_) return {};
  Result<std::unique_ptr<Child>> child = Child::start(step_, working_dir_);
  if (!child) return tl::unexpected(child.error());
  child_ = std::move(*child);
  habit_.restarted();
  in_.clear();
  skipped_ = child_answers_ = 0;
  fresh_bytes_ = fresh_answers_ = 0;
  closed_ = listening_ = overdue_ = false;
  now_ = progress_at_ = active_at_ = Clock::now();
  return {};
}

Result<void> Exec::run(std::span<const std::string_view> records, std::size_t room_bytes,
                       const OnResult& on_result, const ShouldStop& should_stop) {
  if (has_unanswered()) discard_child();  // an earlier run ended in the middle
  records_ = records;
  on_result_ = &on_result;
  answered_ = written_ = offset_ = unanswered_bytes_ = group_end_ = suspects_end_ = 0;
  blamed_ = silent_ = 0;
  full_ = false;
  suspect_all();
  room_ = room_bytes;
  while (answered_ < records_.size() || (child_ && closed_)) {
    if (should_stop && should_stop(records_.size() - answered_ <= 1 && blamed_ == 0)) {
      discard_child();
      return fail(Fault::kRetry, name_ + ": stopped", kExitStopped);
    }
    if (Result<void> started = start(); !started) return started;
    pick_group();
    wait();
    Death end = read_some();
    if (child_ && end.reason.empty()) end = write_some();
    if (child_ && end.reason.empty()) end = check_deadlines();
    if (child_ && end.reason.empty() && answered_ == records_.size()) end = wait_for_surplus();
    if (end.reason.empty()) continue;
    if (end.miscounted) return tl::unexpected(miscount(end));
    if (Result<void> buried = bury(end); !buried) return buried;
  }
  if (in_.empty() && in_.capacity() > kKeptBytes) in_ = Buffer();
  one_by_one_ = false;
  return {};
}

// Record `index` as it is written: '\r' belonged to the line's end.
std::string_view Exec::line(std::size_t index) const {
  std::string_view record = records_[index];
  if (record.ends_with('\r')) record.remove_suffix(1);
  return record;
}

void Exec::pick_group() {
  if (!suspecting())
    group_end_ = std::min(records_.size(), answered_ + kMaxUnansweredRecords);
  else if (answered_ >= group_end_)
    group_end_ = std::min(suspects_end_, answered_ + group_size_);
}

// Is there room for the answers, those that are unanswered already among them? There always is for one.
bool Exec::may_be_written(std::size_t bytes, std::size_t unanswered) const {
  if (unanswered == 0) return true;
  return unanswered + bytes < kMaxUnansweredBytes &&
         growth_ * static_cast<double>(unanswered + bytes) < static_cast<double>(room_);
}

bool Exec::may_write() const {
  if (child_->in() < 0) return false;
  if (offset_ > 0) return true;
  return written_ < group_end_ && may_be_written(line(written_).size(), unanswered_bytes_);
}

// How long the child may be silent, with nothing more to be written and answers missing, before its stdin is
// closed.
Exec::milliseconds Exec::silence_allowed() const {
  const bool all_given = written_ == group_end_ && (suspecting() || group_end_ == records_.size());
  if (all_given && (habit_.buffers() || (suspecting() && group_closes_))) return milliseconds(0);
  return habit_.patience();
}

// Until check_deadlines() may have something to do.
Exec::milliseconds Exec::time_left() const {
  const auto since = [&](Clock::time_point at) { return std::chrono::ceil<milliseconds>(now_ - at); };
  milliseconds left = kTick;
  if (!has_unanswered()) {
    if (closed_) left = std::min(left, kGrace - since(active_at_));
    if (!closed_ && child_->in() < 0) left = milliseconds(0);
  } else {
    left = std::min(left, step_.timeout + (overdue_ ? kGrace : milliseconds(0)) - since(progress_at_));
    if (child_->in() >= 0 && !may_write() && (counts_groups() || !habit_.flushes()))
      left = std::min(left, silence_allowed() - since(active_at_));
  }
  return std::max(left + milliseconds(1), milliseconds(0));
}

void Exec::wait() {
  std::array<pollfd, 2> fds{{{child_->out(), POLLIN, 0}, {may_write() ? child_->in() : -1, POLLOUT, 0}}};
  now_ = Clock::now();
  poll(fds.data(), fds.size(), static_cast<int>(time_left().count()));
  now_ = Clock::now();
}

Exec::Death Exec::death(std::string_view what) const {
  std::string reason = fmt::format("{}: {}", name_, what);
  return {reason, reason};
}

Exec::Death Exec::write_some() {
  if (!may_write()) return {};
  static char newline[] = "\n";
  std::array<iovec, 2 * kLinesAWrite> parts;
  std::size_t used = 0;
  std::size_t ahead = unanswered_bytes_;
  std::size_t skip = offset_;
  for (std::size_t index = written_; index < group_end_ && used < parts.size(); ++index, skip = 0) {
    const std::string_view text = line(index);
    if (used > 0 && !may_be_written(text.size(), ahead)) break;
    ahead += text.size() + 1;
    if (skip < text.size()) parts[used++] = {const_cast<char*>(text.data()) + skip, text.size() - skip};
    parts[used++] = {newline, 1};
  }
  ssize_t wrote = writev(child_->in(), parts.data(), static_cast<int>(used));
  if (wrote < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    if (errno != EPIPE) return death(fmt::format("cannot write to it: {}", std::strerror(errno)));
    child_->close_in();  // it reads no more; it may still have answers
    return {};
  }
  active_at_ = now_;
  if (written_ == answered_) progress_at_ = now_;
  for (std::size_t rest = static_cast<std::size_t>(wrote); rest > 0;) {
    const std::size_t size = line(written_).size() + 1;
    const std::size_t step = std::min(rest, size - offset_);
    rest -= step;
    offset_ += step;
    if (offset_ < size) break;
    offset_ = 0;
    unanswered_bytes_ += size;
    ++written_;
  }
  return {};
}

Exec::Death Exec::read_some() {
  const std::size_t before = in_.size();
  in_.reserve(before + kReadBytes);
  const std::size_t room = in_.capacity() - before;
  const ssize_t got = read(child_->out(), in_.data() + before, room);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return {};
    return death(fmt::format("cannot read from it: {}", std::strerror(errno)));
  }
  if (got == 0) return end_of_output();
  const std::size_t count = static_cast<std::size_t>(got);
  in_.resize(before + count);
  fresh_bytes_ += count;
  active_at_ = now_;
  if (skipped_ > 0) {
    if (Death end = skip_line(); !end.reason.empty()) return end;
  }
  const void* last = memrchr(in_.data(), '\n', in_.size());
  if (last != nullptr) {
    const std::size_t complete = static_cast<std::size_t>(static_cast<const char*>(last) - in_.data()) + 1;
    if (Death end = take_lines(complete); !end.reason.empty()) return end;
  }
  if (in_.size() > max_line_bytes_) {
    if (answered_ == written_) return miscounted("printed more lines than it was given records");
    skipped_ = in_.size();
    in_.clear();
  }
  if (count < room) {
    habit_.read(in_.empty() && (fresh_bytes_ < kSmallBuffer || fresh_answers_ == 1), has_unanswered(),
                closed_);
    fresh_bytes_ = fresh_answers_ = 0;
  }
  return {};
}

// What is in in_ continues a line that is too long. One that does not end is a fault of the child.
Exec::Death Exec::skip_line() {
  const void* newline = std::memchr(in_.data(), '\n', in_.size());
  if (newline == nullptr) {
    skipped_ += in_.size();
    in_.clear();
    if (skipped_ <= kSkipped * max_line_bytes_) return {};
    return death(fmt::format("printed a line of over {} bytes", kSkipped * max_line_bytes_));
  }
  const std::size_t length = static_cast<std::size_t>(static_cast<const char*>(newline) - in_.data());
  refuse_answer(std::exchange(skipped_, 0) + length);
  forget(length + 1);
  return {};
}

// The first bytes of in_ have been seen to.
void Exec::forget(std::size_t bytes) {
  const std::size_t rest = in_.size() - bytes;
  std::memmove(in_.data(), in_.data() + bytes, rest);
  in_.resize(rest);
}

// The first `complete` bytes of in_ are whole lines: answers.
Exec::Death Exec::take_lines(std::size_t complete) {
  reader_.begin({in_.data(), complete});
  for (std::size_t begin = 0; begin < complete;) {
    const void* newline = std::memchr(in_.data() + begin, '\n', complete - begin);
    const std::size_t end = static_cast<std::size_t>(static_cast<const char*>(newline) - in_.data());
    if (answered_ == written_) return miscounted("printed more lines than it was given records");
    const Answer answer = reader_.next(begin, end);
    if (end - begin > max_line_bytes_) {
      refuse_answer(end - begin);
    } else if (answer.kind == Answer::Kind::kJunk) {
      return {std::string(answer.reason), name_ + ": printed junk"};
    } else {
      ExecResult result{.bytes = answer.bytes, .records = answer.records, .reason = answer.reason};
      if (answer.kind == Answer::Kind::kRecords) result.kind = ExecResult::Kind::kRecords;
      if (answer.kind == Answer::Kind::kRejected) result.kind = ExecResult::Kind::kRejected;
      take_answer(result);
    }
    begin = end + 1;
  }
  forget(complete);
  return {};
}

void Exec::refuse_answer(std::size_t bytes) {
  const std::string reason =
      fmt::format("{}: its answer takes {} bytes; {} are allowed: the larger of source.max_record and 16MiB",
                  name_, bytes, max_line_bytes_);
  take_answer({.kind = ExecResult::Kind::kRejected, .reason = reason});
}

// The child's answer to record answered_.
void Exec::take_answer(ExecResult result) {
  const std::size_t asked = line(answered_).size() + 1;
  result.attempts = blamed_ + 1;
  unanswered_bytes_ -= asked;
  const double growth = static_cast<double>(result.bytes.size()) / static_cast<double>(asked);
  growth_ = std::max(growth, growth_ + (growth - growth_) / kGrowthMemory);
  room_ -= std::min(room_, result.bytes.size());
  if (listening_)
    habit_.answered_after_close(std::chrono::duration_cast<milliseconds>(now_ - closed_at_),
                                std::chrono::duration_cast<milliseconds>(now_ - progress_at_));
  listening_ = false;
  progress_at_ = now_;
  ever_answered_ = true;
  deaths_ = 0;
  ++fresh_answers_;
  ++child_answers_;
  give(result);
}

// The last line may lack its newline; of a child that died it may as well be torn, and then it is no JSON.
Exec::Death Exec::end_of_output() {
  if (!in_.empty() && answered_ < written_) {
    in_.push_back('\n');
    if (Death torn = take_lines(in_.size()); !torn.reason.empty()) in_.clear();
  }
  Death death = end_after("closed its stdout");
  return closed_ && !has_unanswered() ? Death() : death;
}

// The child may have closed one end and live, or have died: then that is what there is to say.
Exec::Death Exec::end_after(std::string_view closed) {
  const std::string how = child_->end(kGrace);
  child_.reset();
  if (how.empty()) return death(closed);
  if (has_unanswered() && how == "exited with 0") {
    const std::size_t unanswered = written_ - answered_ + (offset_ > 0 ? 1 : 0);
    return miscounted(fmt::format("printed {} for {} and exited with 0", counted(child_answers_, "line"),
                                  counted(child_answers_ + unanswered, "record")));
  }
  if (one_by_one_ && how.starts_with("exited") && ++silent_ > kSilentEnds)
    return miscounted(fmt::format("{} without a line for its record, again and again", how));
  return death(how);
}

Exec::Death Exec::check_deadlines() {
  const bool open = child_->in() >= 0;
  if (!has_unanswered()) {
    if (!open && !closed_) return end_after("closed its stdin");
    if (closed_ && now_ - active_at_ >= kGrace)
      discard_child();  // it has answered all: no fault, but it has to go
    return {};
  }
  const bool all_written = open && !may_write();
  if (now_ - progress_at_ >= step_.timeout + (overdue_ ? kGrace : milliseconds(0))) {
    if (!all_written) return death("no answer within " + in_words(step_.timeout));
    overdue_ = true;  // the last chance, should it only have held the answer back
    close_in(true);
  } else if (all_written && (counts_groups() || !habit_.flushes())) {
    const milliseconds allowed = silence_allowed();
    if (now_ - active_at_ >= allowed) close_in(allowed > milliseconds(0));
  }
  return {};
}

void Exec::close_in(bool for_silence) {
  child_->close_in();
  closed_ = true;
  listening_ = for_silence;
  closed_at_ = now_;
  if (for_silence && !overdue_ && !std::exchange(warned_of_buffering_, true))
    on_warning_(fmt::format(
        "{}: no answer for {}: its stdin was closed to get what is missing, and it is restarted for "
        "the next records. It should flush its stdout after each line (Python: flush=True)",
        name_, in_words(habit_.patience())));
}

void Exec::give(ExecResult result) {
  if (!full_ && !(*on_result_)(answered_, result)) {
    // What is in the pipe is answered all the same, or the child would be out of step.
    full_ = true;
    records_ = records_.first(written_ + (offset_ > 0 ? 1 : 0));
    group_end_ = std::min(group_end_, records_.size());
    suspects_end_ = std::min(suspects_end_, records_.size());
  }
  ++answered_;
  blamed_ = 0;
}

Result<void> Exec::bury(const Death& end) {
  // Of a child that flushes, the first record without an answer is the one it was at.
  const bool exact = habit_.seems_to_flush();
  discard_child();
  ++restarts_;
  ++deaths_;
  if (std::has_single_bit(restarts_))
    on_warning_(fmt::format("{}; restarts so far: {}", end.logged, restarts_));
  const std::size_t unanswered = written_ - answered_ + (offset_ > 0 ? 1 : 0);
  if (full_) {  // the rest is not wanted
    answered_ = records_.size();
  } else if (unanswered > 0) {
    ++blamed_;
  }
  if (full_) {
    suspects_end_ = 0;
  } else if (unanswered == 1 && blamed_ >= 2) {
    give({.kind = ExecResult::Kind::kRejected, .reason = end.reason, .attempts = blamed_});
  } else if (unanswered > 0) {
    suspects_end_ = answered_ + (exact ? 1 : unanswered);
    group_size_ = exact ? 1 : std::max<std::size_t>(1, unanswered / kSplit);
    group_closes_ = !exact;
  }
  written_ = group_end_ = answered_;
  offset_ = unanswered_bytes_ = 0;
  suspect_all();
  const int most = ever_answered_ ? kDeathsInARow : kDeathsIfNeverAnswered;
  if (deaths_ < most) return {};
  return fail(
      Fault::kFatal,
      fmt::format("{}; it ended {} times in a row without one answer: run it by hand with one record on its "
                  "stdin to see why",
                  end.logged, deaths_),
      kExitConfig);
}

void Exec::discard_child() {
  if (child_) child_->end(milliseconds(0));
  child_.reset();
  in_.clear();
  skipped_ = 0;
}

}  // namespace leat::processor
