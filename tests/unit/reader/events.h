// Runs a ReadAhead in a test: its events, waited for and as text.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "workers/reader/read_ahead.h"

namespace leat::reader::test {

using namespace std::chrono_literals;

inline constexpr int kDeadlineMs = 20'000;

inline ReadAhead::Options options(const std::string& glob) {
  ReadAhead::Options given;
  given.source.paths = {glob};
  given.source.poll = 1ms;
  given.source.settle = 0ms;
  given.backoff = 1ms;
  given.max_backoff = 2ms;
  return given;
}

inline Event wait(ReadAhead& ahead) {
  for (;;) {
    if (std::optional<Event> event = ahead.try_pop()) return std::move(*event);
    pollfd ready{ahead.fd(), POLLIN, 0};
    REQUIRE(::poll(&ready, 1, kDeadlineMs) == 1);
  }
}

// An event as a line of text.
inline std::string text(const Event& event) {
  if (const auto* e = std::get_if<Listed>(&event)) return fmt::format("listed {} {}", e->files, e->bytes);
  if (const auto* e = std::get_if<SourceOpened>(&event)) {
    return fmt::format("opened {} {}", e->id, e->file.path.substr(e->file.path.rfind('/') + 1));
  }
  if (const auto* e = std::get_if<SourceChunk>(&event)) {
    return fmt::format("chunk {} {}", e->id, e->chunk.payload.view());
  }
  if (const auto* e = std::get_if<SourceEnded>(&event)) {
    return fmt::format("ended {} at {} {}", e->id, e->end.line, e->end.offset);
  }
  if (const auto* e = std::get_if<SourceFailed>(&event))
    return fmt::format("failed {} at {}{}", e->id, e->at.offset, e->retry ? ", again" : "");
  if (const auto* e = std::get_if<SourceChanged>(&event)) return fmt::format("changed {}", e->id);
  if (const auto* e = std::get_if<SourceMoved>(&event)) return fmt::format("moved {}", e->id);
  if (const auto* e = std::get_if<SourceFinished>(&event)) {
    return fmt::format("finished {} {}{}", e->id, e->action, e->reason.empty() ? "" : " refused");
  }
  if (const auto* e = std::get_if<Presence>(&event)) {
    return fmt::format("presence: absent {} present {}{}{}", e->presence.absent, e->presence.present,
                       e->presence.whole ? ", whole" : "", e->presence.believed ? ", believed" : "");
  }
  if (std::holds_alternative<InputRead>(event)) return "read";
  if (std::holds_alternative<Note>(event)) return "note";
  const auto& end = std::get<End>(event);
  return end.error ? "end: " + end.error->text : end.stopped ? "stopped" : "end";
}

inline std::string wait_text(ReadAhead& ahead) {
  return text(wait(ahead));
}

using Texts = std::vector<std::string>;

inline std::vector<std::string> all(ReadAhead& ahead) {
  std::vector<std::string> out;
  do {
    out.push_back(wait_text(ahead));
  } while (out.back() != "end" && !out.back().starts_with("end:") && out.back() != "stopped");
  return out;
}

}  // namespace leat::reader::test

template <>
struct doctest::StringMaker<leat::reader::test::Texts> {
  static doctest::String convert(const leat::reader::test::Texts& texts) {
    return fmt::format("{}", fmt::join(texts, " | ")).c_str();
  }
};
