// Each step can be done again, and one rename each decides whether it was done:
//
//   begin: all is made in STATE/.replay-RUN.new; then FILE is renamed to FILE.replay-RUN, which is the moment; then the folder
//          gets its name. A .new folder whose FILE.replay-RUN is there gets its name later, any other is removed.
//   end:   "end.json" says how long the dead-letter file was; it is cut to that and appended to. Then the folder is renamed to
//          STATE/.replay-RUN.old, which is the moment, and removed. A folder with end.json is brought to its end before
//          anything else writes letters: `leat run` and `leat dead replay` ask for that when they begin.
#include "daemon/replay/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "config/text.h"
#include "daemon/replay/durable.h"
#include "daemon/replay/letters.h"
#include "proto/base/fd.h"
#include "proto/base/files.h"
#include "proto/base/human.h"
#include "proto/base/json.h"
#include "proto/base/text.h"
#include "workers/ledger/ledger.h"
#include "workers/ledger/state_folder.h"

namespace leat::replay {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "replay-";
constexpr std::string_view kNew = ".new";
constexpr std::string_view kOld = ".old";

// Calls `each` for every line of a file (of its first `until` bytes), or not at all when there is none.
template <class Each>
Result<void> for_lines(const std::string& path, std::uint64_t until, Each each) {
  auto lines = Lines::open(path, until);
  if (!lines) return lines.error().exit_code == kExitNoInput ? Result<void>() : tl::unexpected(lines.error());
  for (;;) {
    auto line = LEAT_TRY(lines->next());
    if (!line) return {};
    if (auto done = each(*line); !done) return done;
  }
}

// What the pipeline's own ledger knows of a dead-letter file, and the lock that keeps it so.
class OwnLedger {
 public:
  static Result<OwnLedger> open(const std::string& state, const std::string& pipeline) {
    OwnLedger own;
    auto lock = ledger::WriterLock::try_take(state);
    if (!lock) return fail(Fault::kFatal, lock.error().text + "; try again later", kExitIo);
    own.lock_.emplace(std::move(*lock));
    auto view = LEAT_TRY(ledger::View::open(state));
    if (!view) return own;
    auto opened = LEAT_TRY(ledger::Ledger::open(state, pipeline));
    own.ledger_.emplace(std::move(opened));
    return own;
  }
  // Letters behind it were never committed: they come again when the run that wrote them continues.
  Result<std::uint64_t> committed(const std::string& file) {
    if (!ledger_) return UINT64_MAX;
    auto known = LEAT_TRY(ledger_->view().dead_letters());
    return known && known->path == file ? known->length : UINT64_MAX;
  }
  Result<void> forget() {
    if (!ledger_) return {};
    auto epoch = LEAT_TRY(ledger_->view().epoch());
    ledger::Commit commit;
    commit.epoch = epoch;
    commit.dead_letters = ledger::DeadLetterFile{};
    return ledger_->commit(commit);
  }

 private:
  OwnLedger() = default;
  std::optional<ledger::WriterLock> lock_;
  std::optional<ledger::Ledger> ledger_;
};

// The file, locked as its writer locks it.
Result<Fd> lock_letters(const std::string& file, int flags) {
  Fd fd(::open(file.c_str(), flags | O_RDWR | O_APPEND | O_CLOEXEC, 0666));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return fail(Fault::kFatal, fmt::format("cannot open {}: {}", printable(file), std::strerror(errno)),
                errno == ENOENT ? kExitNoInput : kExitIo);
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(Fault::kFatal,
                fmt::format("{} is no regular file: nothing can be replayed from it", printable(file)),
                kExitConfig);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return fail(Fault::kFatal, fmt::format("another leat is writing {}; wait for it", printable(file)),
                kExitConfig);
  }
  return fd;
}

std::uint64_t size_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

Result<std::uint64_t> end_of_lines(const std::string& file, std::uint64_t until) {
  std::uint64_t end = 0;
  auto done = for_lines(file, until, [&](std::string_view line) -> Result<void> {
    end += line.size() + 1;
    return {};
  });
  if (!done) return tl::unexpected(done.error());
  return end;
}

std::string to_json(const Replay& replay) {
  JsonWriter json;
  json.object([&] {
    json.put("id", replay.id);
    json.put("dead_letter", replay.dead_letter);
    json.put("aside", replay.aside);
    json.put("sink", replay.sink);
    json.put("keep_rotate", replay.keep_rotate);
    json.put("letters", replay.letters);
    json.put("kept", replay.kept);
  });
  return json.text() + "\n";
}

Result<JsonDocument> read_json(const std::string& path) {
  auto lines = LEAT_TRY(Lines::open(path));
  auto line = LEAT_TRY(lines.next());
  auto document = line ? parse_json_object(*line) : std::nullopt;
  if (document) return *std::move(document);
  return fail(Fault::kFatal,
              fmt::format("{} is damaged; check what is in its folder, and move that elsewhere", path));
}

Result<Replay> read_replay(const std::string& folder) {
  auto document = LEAT_TRY(read_json(folder + "/replay.json"));
  const JsonValue root = document.root();
  Replay replay;
  replay.folder = folder;
  replay.id = root.text("id");
  replay.dead_letter = root.text("dead_letter");
  replay.aside = root.text("aside");
  replay.sink = root.text("sink");
  replay.keep_rotate = root.is_true("keep_rotate");
  replay.letters = root.number("letters");
  replay.kept = root.number("kept");
  return replay;
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

// Takes the letters of `file` apart into the new folder.
Result<void> extract(const std::string& file, std::uint64_t until, const std::string& folder,
                     Replay& replay) {
  Out records(folder + "/replay-" + replay.id + ".jsonl");
  Out kept(folder + "/kept.jsonl");
  if (auto opened = records.open(); !opened) return opened;
  if (auto opened = kept.open(); !opened) return opened;
  auto done = for_lines(file, until, [&](std::string_view line) -> Result<void> {
    auto letter = proto::parse_dead_letter(line);
    // A line break inside would be two records; the writer of letters never makes one, a person may.
    bool fed = letter && letter->record && !letter->record->empty() &&
               letter->record->find('\n') == std::string::npos;
    ++(fed ? replay.letters : replay.kept);
    return fed ? records.add(*letter->record + '\n') : kept.add(std::string(line) + '\n');
  });
  if (done) done = records.close();
  if (done) done = kept.close();
  return done;
}

// The letters of the run tell where in the file of the run their record was: put the first origin back.
Result<std::uint64_t> append_letters(Out& out, const Replay& replay) {
  std::uint64_t appended = 0;
  auto count = [&](std::string_view line) {
    ++appended;
    return out.add(std::string(line) + '\n');
  };
  LEAT_TRY(for_lines(replay.kept_file(), UINT64_MAX, count));

  // Should somebody have removed it, the letters stay as they are: nothing is lost but where they came from.
  auto origins = Lines::open(replay.aside);
  if (!origins && origins.error().exit_code != kExitNoInput) return tl::unexpected(origins.error());
  std::uint64_t at = 0;  // records of the run that `origin` has come to
  std::optional<proto::DeadLetter> origin;
  auto done = for_lines(replay.dead_file(), UINT64_MAX, [&](std::string_view line) -> Result<void> {
    auto letter = proto::parse_dead_letter(line);
    if (!letter) return count(line);
    while (origins && at < letter->line) {
      auto next = LEAT_TRY(origins->next());
      if (!next) break;
      auto read = proto::parse_dead_letter(*next);
      if (!read || !read->record || read->record->empty() || read->record->find('\n') != std::string::npos)
        continue;
      origin = std::move(read);
      ++at;
    }
    if (origin && at == letter->line) {
      letter->source = origin->source;
      letter->line = origin->line;
      letter->offset = origin->offset;
      letter->attempts += origin->attempts;
    }
    std::string whole;
    proto::append_line(whole, *letter);
    whole.pop_back();
    return count(whole);
  });
  if (!done) return tl::unexpected(done.error());
  return appended;
}

Result<std::uint64_t> length_before(const Replay& replay, OwnLedger& own, const std::string& marker, int fd) {
  if (exists(marker)) {
    auto document = LEAT_TRY(read_json(marker));
    return document.root().number("length");
  }
  auto committed = own.committed(replay.dead_letter);
  if (!committed) return committed;
  auto length = end_of_lines(replay.dead_letter, std::min(*committed, size_of(fd)));
  if (!length) return length;
  Result<void> written = write_file(marker + std::string(kNew), fmt::format("{{\"length\":{}}}\n", *length));
  if (written) written = rename_durably(marker + std::string(kNew), marker);
  if (!written) return tl::unexpected(written.error());
  return length;
}

}  // namespace

Result<std::optional<Replay>> unfinished_replay(const std::string& state, const std::string& pipeline) {
  std::error_code error;
  std::optional<Replay> found;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(state, error))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  const std::string hidden = "." + std::string(kPrefix);
  for (const std::string& name : names) {
    std::string folder = fmt::format("{}/{}", state, name);
    if (name.starts_with(hidden) && name.ends_with(kNew)) {
      auto replay = read_replay(folder);
      if (replay && exists(replay->aside)) {
        std::string whole = fmt::format("{}/{}", state, name.substr(1, name.size() - 1 - kNew.size()));
        LEAT_TRY(rename_durably(folder, whole));
        replay->folder = whole;
        found = *std::move(replay);
      } else {
        fs::remove_all(folder, error);
      }
    } else if (name.starts_with(hidden) && name.ends_with(kOld)) {
      fs::remove_all(folder, error);
    } else if (name.starts_with(kPrefix) && fs::is_directory(folder, error)) {
      auto replay = LEAT_TRY(read_replay(folder));
      if (exists(folder + "/end.json")) {
        LEAT_TRY(end_replay(state, pipeline, replay));
      } else {
        found = std::move(replay);
      }
    }
  }
  return found;
}

Result<Replay> begin_replay(const std::string& state, const std::string& pipeline, const std::string& file,
                            Replay replay) {
  if (!is_utf8(file)) {
    return fail(Fault::kFatal, fmt::format("{} is not UTF-8; rename it first", config::in_quotes(file)),
                kExitConfig);
  }
  auto letters = LEAT_TRY(lock_letters(file, 0));
  auto own = LEAT_TRY(OwnLedger::open(state, pipeline));
  auto committed = LEAT_TRY(own.committed(file));
  std::uint64_t until = std::min(committed, size_of(letters.get()));

  std::string name = std::string(kPrefix) + replay.id;
  std::string folder = state + "/." + name + std::string(kNew);
  if (::mkdir(folder.c_str(), 0700) != 0) return io_failure("make", folder, errno);
  replay.folder = state + "/" + name;
  replay.aside = file + "." + name;
  Result<void> done = extract(file, until, folder, replay);
  if (done) done = write_file(folder + "/replay.json", to_json(replay));
  if (done) done = sync_folder(folder);
  if (!done || replay.letters == 0) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    if (!done) return tl::unexpected(done.error());
    return replay;
  }
  if (until < size_of(letters.get()) && ::ftruncate(letters.get(), static_cast<off_t>(until)) != 0) {
    return io_failure("cut", file, errno);
  }
  done = own.forget();
  if (done) done = rename_durably(file, replay.aside);
  if (done) done = rename_durably(folder, replay.folder);
  if (!done) return tl::unexpected(done.error());
  return replay;
}

Result<std::uint64_t> end_replay(const std::string& state, const std::string& pipeline,
                                 const Replay& replay) {
  auto letters = LEAT_TRY(lock_letters(replay.dead_letter, O_CREAT));
  auto own = LEAT_TRY(OwnLedger::open(state, pipeline));
  auto before = length_before(replay, own, replay.folder + "/end.json", letters.get());
  if (!before) return before;
  LEAT_TRY(own.forget());
  if (::ftruncate(letters.get(), static_cast<off_t>(*before)) != 0)
    return io_failure("cut", replay.dead_letter, errno);
  Out out(replay.dead_letter);
  out.take(letters.get());
  auto appended = append_letters(out, replay);
  if (!appended) return appended;
  Result<void> done = out.close();
  if (done) done = sync_folder(folder_of(replay.dead_letter));
  std::string old = state + "/." + std::string(kPrefix) + replay.id + std::string(kOld);
  if (done) done = rename_durably(replay.folder, old);
  if (!done) return tl::unexpected(done.error());
  std::error_code ignored;
  fs::remove_all(old, ignored);
  return appended;
}

}  // namespace leat::replay
