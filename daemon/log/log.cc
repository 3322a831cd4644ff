// spdlog has the levels, the pattern and the one default logger of the process; that logger is of our own class, as what was
// held back is state, and state has to live somewhere that is not a global of ours.
#include "daemon/log/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "daemon/log/limiter.h"

namespace leat::log {

namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kError:
      return spdlog::level::err;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kDebug:
      break;
  }
  return spdlog::level::debug;
}

// "<4>"
class Priority final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const char* text = message.level == spdlog::level::err    ? "<3>"
                       : message.level == spdlog::level::warn ? "<4>"
                       : message.level == spdlog::level::info ? "<6>"
                                                              : "<7>";
    out.append(std::string_view(text));
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Priority>(); }
};

std::unique_ptr<spdlog::formatter> formatter(bool journal) {
  auto out = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc, "\n");
  out->add_flag<Priority>('*');
  out->set_pattern(journal ? "%*%v" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v");
  return out;
}

// A line that cannot be written is lost: there is nowhere left to report it.
void write_stderr(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return;
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

class Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit Sink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    write_({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  std::function<void(std::string_view)> write_;
};

class Logger final : public spdlog::logger {
 public:
  Logger(std::string_view program, Options options)
      : spdlog::logger(std::string(program),
                       std::make_shared<Sink>(options.write ? std::move(options.write) : write_stderr)),
        options_(std::move(options)) {
    set_level(to_spdlog(options_.level));
    set_formatter(formatter(options_.journal));
  }

  void say(Level level, std::string_view event, const Fields& fields) {
    if (!should_log(to_spdlog(level))) return;
    const auto now = options_.clock();
    say_held(now);
    if (limiter_.admit(event, find(fields, "pipeline"), level, now)) put(level, event, fields);
  }
  void tick() { say_held(options_.clock()); }
  void finish() { say_held(Limiter::Time::max()); }

 private:
  void put(Level level, std::string_view event, const Fields& fields) {
    const std::string text = fields_text(fields);
    log(options_.time(), spdlog::source_loc{}, to_spdlog(level),
        spdlog::string_view_t(fmt::format("{}{}{}", event, text.empty() ? "" : " ", text)));
  }
  void say_held(Limiter::Time now) {
    for (const auto& held : limiter_.over(now)) {
      if (held.pipeline.empty())
        put(held.level, held.event, {{"suppressed", held.count}});
      else
        put(held.level, held.event, {{"pipeline", held.pipeline}, {"suppressed", held.count}});
    }
  }

  Options options_;
  Limiter limiter_;
};

// nullptr before setup().
Logger* logger() {
  return dynamic_cast<Logger*>(spdlog::default_logger_raw());
}

void say(Level level, std::string_view event, const Fields& fields) {
  if (Logger* to = logger()) to->say(level, event, fields);
}

}  // namespace

void setup(std::string_view program) {
  Options options;
  options.journal = is_journal(std::getenv("JOURNAL_STREAM"), STDERR_FILENO);
  const char* wanted = std::getenv("LEAT_LOG");
  const auto level = parse_level(wanted == nullptr ? "info" : wanted);
  options.level = level.value_or(Level::kInfo);
  setup(program, std::move(options));
  if (!level)
    warning("log-level-unknown", {{"LEAT_LOG", wanted}, {"expected", "error, warning, info or debug"}});
}

void setup(std::string_view program, Options options) {
  spdlog::set_default_logger(std::make_shared<Logger>(program, std::move(options)));
}

void error(std::string_view event, const Fields& fields) {
  say(Level::kError, event, fields);
}
void warning(std::string_view event, const Fields& fields) {
  say(Level::kWarning, event, fields);
}
void info(std::string_view event, const Fields& fields) {
  say(Level::kInfo, event, fields);
}
void debug(std::string_view event, const Fields& fields) {
  say(Level::kDebug, event, fields);
}

void tick() {
  if (Logger* to = logger()) to->tick();
}
void finish() {
  if (Logger* to = logger()) to->finish();
}

std::optional<Level> parse_level(std::string_view name) {
  if (name == "error") return Level::kError;
  if (name == "warning") return Level::kWarning;
  if (name == "info") return Level::kInfo;
  if (name == "debug") return Level::kDebug;
  return std::nullopt;
}

bool is_journal(const char* journal_stream, int fd) {
  struct stat status {};
  if (journal_stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == journal_stream;
}

}  // namespace leat::log
