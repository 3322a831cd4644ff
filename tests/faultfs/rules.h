// The faults that are in force, and how much each file was used.
//
// An operation asks before it does anything: ask() waits (delay, hang), then says which error to give, or how far to
// go. Rules match the operation's name and, with fnmatch, the path inside the mount: "a/b.jsonl", "" for its root; a `*`
// matches `/` too. An open file keeps the path that it was opened by. All functions may be called from any thread.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace faultfs {

// What is about to be done. Paths are borrowed for the call.
struct Question {
  const char* op;
  const char* path;
  const char* path2 = nullptr;  // rename and link: the new name
  std::uint64_t opened = 0;     // of the open file it is done on; 0: it is done on a path
  off_t offset = 0;             // read and write
  std::size_t size = 0;
  std::size_t growth = 0;  // bytes by which the file would grow
};

struct Answer {
  int error = 0;  // an errno; 0: continue
  std::size_t size = 0;
  off_t nuls = 0;      // so many bytes at the file's end read as NUL
  bool empty = false;  // a listing shows nothing
};

struct Use {
  std::uint64_t read = 0, written = 0, opens = 0, getattrs = 0, fsyncs = 0, listings = 0;
};

class Rules {
 public:
  // One command of the control socket but those of power; the answer is one line without its newline. Throws
  // std::runtime_error with what is wrong with it.
  std::string command(std::string_view name, std::istream& words);

  // `give_up` is asked while an operation hangs: an errno ends it.
  Answer ask(const Question& question, const std::function<int()>& give_up);

  // A number for a file that is opened now.
  std::uint64_t opened();
  void used(const char* path, std::uint64_t Use::*what, std::uint64_t amount = 1);
  // Bytes of room that `full` leaves; -1: without limit.
  std::int64_t room();

  // No power: everything is EIO, hanging or not, and files opened before stay so for ever.
  void cut();
  void restore();

 private:
  enum class Kind : std::uint8_t { kFail, kHang, kShort, kEmpty, kStale, kDelay, kNuls, kAway };
  struct Rule {
    Kind kind;
    std::string op, glob;
    int error = 0;
    bool hard = false;  // hang: not even SIGKILL ends it
    std::uint64_t opened = 0;
    std::int64_t amount = 0;  // bytes or milliseconds
    std::int64_t after = 0, times = -1, offset = 0;
    bool matches(const Question& question) const;
  };
  Rule parse(std::string_view name, std::istream& words) const;
  bool hangs(const Question& question) const;
  bool fails(Rule& rule, Answer& answer, const Question& question);
  std::string stats() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Rule> rules_;
  std::map<std::string, Use> uses_;
  std::uint64_t opened_ = 0, dead_ = 0, hanging_ = 0, faults_ = 0;
  std::int64_t room_ = -1;
  bool power_ = true;
};

}  // namespace faultfs
