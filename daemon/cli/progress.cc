// The line must never be wider than the terminal: a wrapped line cannot be drawn over. So parts are skipped,
// the least useful first, until it fits with a bar of kMinBar columns, and the bar takes what is left up to
// kMaxBar. A terminal made narrower wraps the line already there; it is then cleared from its first row on.
#include "daemon/cli/progress.h"

#include <fmt/format.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "proto/base/human.h"
#include "proto/base/text.h"

namespace leat::cli {

using supervisor::Rates;
using supervisor::Snapshot;

namespace {

constexpr std::size_t kMinBar = 6;
constexpr std::size_t kMaxBar = 40;
constexpr std::size_t kMargin = 3;
constexpr double kPlainSeconds = 10;

struct Part {
  std::string text;
  int rank;  // 0 stays; the highest goes first
};

// Nothing moves and the reader says why: "waits for the mount /mnt/nas", "42 s in read() of
// /mnt/nas/a.jsonl".
bool waits(const Snapshot& snapshot, const Rates& rates) {
  const std::string& text = snapshot.reader_text;
  return rates.disk <= 0 && !text.empty() && (text.starts_with("wait") || (text[0] >= '0' && text[0] <= '9'));
}

double fraction(const Snapshot& snapshot) {
  if (snapshot.total_disk_bytes == 0) return 0;
  return std::min(1.0,
                  static_cast<double>(snapshot.disk_bytes) / static_cast<double>(snapshot.total_disk_bytes));
}

std::string amount(const Snapshot& snapshot) {
  if (snapshot.total_disk_bytes == 0) return human_bytes(snapshot.disk_bytes);
  return human_bytes(snapshot.disk_bytes) + " of " + human_bytes(snapshot.total_disk_bytes);
}

std::vector<Part> parts_of(const Snapshot& snapshot, const Rates& rates) {
  std::vector<Part> parts{{amount(snapshot), 4}};
  if (waits(snapshot, rates)) {
    parts.push_back({printable(snapshot.reader_text), 0});
    return parts;
  }
  parts.push_back({human_rate(rates.bytes), 0});
  parts.push_back({human_count(rates.records) + " records/s", 2});
  if (snapshot.records_in > 0) {
    parts.push_back(
        {"kept " + percent(static_cast<double>(snapshot.kept), static_cast<double>(snapshot.records_in)), 3});
  }
  if (snapshot.dead > 0) parts.push_back({fmt::format("{} dead", exact_count(snapshot.dead)), 1});
  if (snapshot.total_disk_bytes > snapshot.disk_bytes && rates.disk > 0) {
    double left = static_cast<double>(snapshot.total_disk_bytes - snapshot.disk_bytes);
    parts.push_back({"ETA " + human_clock(left / rates.disk), 1});
  }
  return parts;
}

std::string join(const std::vector<Part>& parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) {
    if (!text.empty()) text += separator;
    text += part.text;
  }
  return text;
}

bool drop_least(std::vector<Part>& parts) {
  auto least = std::max_element(parts.begin(), parts.end(),
                                [](const Part& a, const Part& b) { return a.rank < b.rank; });
  if (least == parts.end() || least->rank == 0) return false;
  parts.erase(least);
  return true;
}

// `width` columns, the two ends included.
std::string bar(double done, std::size_t width, bool unicode) {
  static constexpr std::array kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  std::size_t cells = width - 2;
  auto eighths = static_cast<std::size_t>(done * static_cast<double>(cells) * 8);
  std::size_t full = eighths / 8;
  std::string text = unicode ? "▕" : "[";
  for (std::size_t i = 0; i < full; ++i) text += unicode ? "█" : "#";
  std::size_t used = full;
  if (unicode && eighths % 8 != 0) {
    text += kEighths[eighths % 8];
    ++used;
  }
  text.append(cells - used, unicode ? ' ' : '-');
  text += unicode ? "▏" : "]";
  return text;
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void write_all(std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(STDERR_FILENO, text.data(), text.size());
    if (count <= 0) return;  // stderr is closed
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string progress_line(const Snapshot& snapshot, const Rates& rates, std::size_t width, bool unicode) {
  std::string_view separator = unicode ? " · " : " | ";
  std::vector<Part> parts = parts_of(snapshot, rates);
  bool with_bar = snapshot.total_disk_bytes > 0;
  std::string head = with_bar ? fmt::format("{:3.0f}% ", 100 * fraction(snapshot)) : " ";
  std::string text;
  std::size_t taken = 0;
  while (true) {
    text = join(parts, separator);
    taken = head.size() + columns(text) + (with_bar ? 1 : 0);
    if (taken + (with_bar ? kMinBar : 0) <= width || !drop_least(parts)) break;
  }
  if (with_bar && taken + kMinBar <= width) {
    head += bar(fraction(snapshot), std::min(kMaxBar, width - taken), unicode) + " ";
  }
  return cut_to(head + text, width);
}

std::string plain_line(const Snapshot& snapshot, const Rates& rates) {
  std::string text = join(parts_of(snapshot, rates), ", ");
  return snapshot.total_disk_bytes > 0 ? fmt::format("{:.0f} %, {}", 100 * fraction(snapshot), text) : text;
}

Progress::Mode Progress::mode_for_stderr(bool quiet) {
  if (quiet) return Mode::kNone;
  const char* term = std::getenv("TERM");
  bool capable = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  return ::isatty(STDERR_FILENO) == 1 && capable ? Mode::kTerminal : Mode::kPlain;
}

Progress::Progress(Mode mode) : mode_(mode), unicode_(std::string_view(::nl_langinfo(CODESET)) == "UTF-8") {}

void Progress::warning(std::string_view /*event*/, std::string_view text) {
  say("warning: ", text);
}

void Progress::note(std::string_view /*event*/, std::string_view text) {
  if (mode_ != Mode::kNone) say("", text);
}

void Progress::say(std::string_view kind, std::string_view text) {
  clear();
  write_all(fmt::format("leat: {}{}\n", kind, printable(text)));
}

void Progress::tick(const Snapshot& snapshot) {
  if (mode_ == Mode::kNone) return;
  Rates rates = meter_.add(snapshot);
  if (mode_ == Mode::kTerminal) {
    std::size_t width = terminal_width();
    // Room for the cursor, and for the ^C that a terminal echoes: that must not wrap either.
    draw(progress_line(snapshot, rates, width > kMargin ? width - kMargin : 1, unicode_), width);
  } else if (snapshot.seconds >= next_plain_) {
    next_plain_ += kPlainSeconds;
    std::string line = plain_line(snapshot, rates);
    // A log does not need to hear every ten seconds that there is no new file.
    if (line != last_plain_) write_all(fmt::format("leat: {}\n", line));
    last_plain_ = std::move(line);
  }
}

void Progress::draw(const std::string& line, std::size_t width) {
  std::string bytes = "\r";
  if (drawn_ > width) bytes += fmt::format("\x1b[{}A\x1b[J", (drawn_ - 1) / width);
  write_all(bytes + line + "\x1b[K");
  drawn_ = columns(line);
}

void Progress::clear() {
  if (drawn_ > 0) draw("", terminal_width());
  drawn_ = 0;
}

}  // namespace leat::cli
