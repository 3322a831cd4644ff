// What leatd says about itself: one line an event on stderr, for the journal or for a person.
//
//   log::warning("worker-died", {{"pipeline", name}, {"worker", "processor-0"}, {"pid", pid}});
//
//   <4>worker-died pipeline=reviews worker=processor-0 pid=9                        the journal reads stderr
//   2026-11-24T09:00:00.123Z warning worker-died pipeline=reviews worker=...        anything else does
//
// Each line is one write(2). Level from $LEAT_LOG (error, warning, info, debug; info by default). Of an event of a pipeline
// (the field of that name) 20 lines pass in 10 s, the rest is counted: `worker-died pipeline=reviews suppressed=7`.
// Nothing is said before setup(). For one thread.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/log/line.h"

namespace leat::log {

struct Options {
  Level level = Level::kInfo;
  bool journal = false;
  std::function<std::chrono::system_clock::time_point()> time = std::chrono::system_clock::now;
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;
  std::function<void(std::string_view line)> write;  // a whole line with its newline; empty: stderr
};

// Once, first thing in main. The other one is for tests, which call it as often as they like.
void setup(std::string_view program);
void setup(std::string_view program, Options options);

void error(std::string_view event, const Fields& fields = {});
void warning(std::string_view event, const Fields& fields = {});
void info(std::string_view event, const Fields& fields = {});
void debug(std::string_view event, const Fields& fields = {});

// Says how much was held back, once its time is over. Any line does so too; this is for a loop in which nothing is said.
void tick();
// Says what is still held back: last thing in main.
void finish();

std::optional<Level> parse_level(std::string_view name);
// Does JOURNAL_STREAM ("device:inode", nullptr when it is not set) name what this descriptor is?
bool is_journal(const char* journal_stream, int fd);

}  // namespace leat::log
