// What is seen of a run while it runs: on a terminal one line that is drawn over and over, elsewhere a line
// every ten seconds, both on stderr.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "daemon/supervisor/rates.h"
#include "daemon/supervisor/supervisor.h"

namespace leat::cli {

// At most `width` columns; what matters least is skipped first. unicode: block elements may be used.
std::string progress_line(const supervisor::Snapshot& snapshot, const supervisor::Rates& rates,
                          std::size_t width, bool unicode);
// The same as a sentence for a log.
std::string plain_line(const supervisor::Snapshot& snapshot, const supervisor::Rates& rates);

class Progress : public supervisor::Observer {
 public:
  enum class Mode : unsigned char { kNone, kPlain, kTerminal };
  // How stderr is to be used: --quiet, a terminal or not, TERM.
  static Mode mode_for_stderr(bool quiet);

  explicit Progress(Mode mode);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() override { clear(); }

  void warning(std::string_view event, std::string_view text) override;
  void note(std::string_view event, std::string_view text) override;
  void tick(const supervisor::Snapshot& snapshot) override;
  void clear();  // removes the line from the terminal

 private:
  void say(std::string_view kind, std::string_view text);
  void draw(const std::string& line, std::size_t width);

  Mode mode_;
  bool unicode_;
  supervisor::RateMeter meter_;
  std::size_t drawn_ = 0;  // columns of the line on the terminal; 0: none
  double next_plain_ = 10;
  std::string last_plain_;
};

}  // namespace leat::cli
