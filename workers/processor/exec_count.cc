// Only its place says which record an answer belongs to. So a program that leaves out a line, or prints one more, gives every
// record behind it another's answer, and nothing in them shows it; what shows is the number, when it has had its say: at the
// end of its input, or once it has read all and sleeps. Then the whole run is void (what it gave was not passed on
// yet), and every record is tried alone, which tells a program that exits after so many records from one that skips them.
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <ctime>

#include "proto/base/process.h"
#include "workers/processor/exec.h"

namespace leat::processor {

namespace {

constexpr std::chrono::milliseconds kSurplus{50};  // to fall asleep in, all records answered
constexpr timespec kMoment{0, 100'000};            // until it is asked again

}  // namespace

// Alone, all of them, where lines and records did not match in number; as many as a child answers before it exits, where that
// was why.
void Exec::suspect_all() {
  if (!counts_groups()) return;
  suspects_end_ = records_.size();
  group_size_ = one_by_one_ ? 1 : exits_after_;
  group_closes_ = true;
}

// Has it read all that it was given, and sleeps? Of a shell with children this says nothing.
bool Exec::is_idle() const {
  int unread = 0;
  if (ioctl(child_->in(), FIONREAD, &unread) != 0 || unread > 0) return false;
  const char state = process_state(child_->pid());
  return state == 'S' || state == '\0';
}

// All is answered: does it print more, before it waits for the next record?
Exec::Death Exec::wait_for_surplus() {
  if (closed_ || child_->in() < 0) return {};  // its end of output tells
  const Clock::time_point until = Clock::now() + kSurplus;
  do {
    const bool idle = is_idle();
    if (Death end = read_some(); !end.reason.empty() || !child_) return end;
    if (!in_.empty()) return miscounted("printed more lines than it was given records");
    if (idle) return {};
    pollfd more{child_->out(), POLLIN, 0};
    ppoll(&more, 1, &kMoment, nullptr);
  } while (Clock::now() < until);
  return {};
}

Error Exec::miscount(const Death& end) {
  discard_child();
  ++restarts_;
  if (!one_by_one_) {
    one_by_one_ = true;
    exits_after_ = has_unanswered() ? child_answers_ : 0;
    on_warning_(fmt::format("{}: its records are tried again one at a time", end.logged));
    return {Fault::kReject, end.reason, 0};
  }
  return {
      Fault::kFatal,
      end.logged +
          "; a program has to print one line for each record: null drops it, [{...}, {...}] makes several. "
          "Nothing that it printed for the other records is believed",
      kExitConfig};
}

Exec::Death Exec::miscounted(std::string_view what) const {
  Death end = death(what);
  end.miscounted = true;
  return end;
}

}  // namespace leat::processor
