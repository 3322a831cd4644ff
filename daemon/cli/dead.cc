#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <unordered_set>

#include "config/yaml/parse.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/leatd.h"
#include "daemon/replay/letters.h"
#include "proto/base/human.h"
#include "proto/base/text.h"

namespace leat::cli {

namespace {

constexpr std::size_t kReasonColumns = 100;

// What the argument names: the file itself, or the one that a pipeline names.
Result<std::string> dead_letter_file(const std::string& from) {
  if (!from.ends_with(".yaml") && !from.ends_with(".yml")) return from;
  config::Parsed parsed = config::load_pipeline(from);
  if (!parsed.problems.empty()) return tl::unexpected(plan::refused(parsed.problems));
  if (!parsed.pipeline.dead_letter_path.empty()) return parsed.pipeline.dead_letter_path;
  return fail(Fault::kFatal,
              fmt::format("{}: it has no dead_letter.path; name a dead-letter file instead", from),
              kExitConfig);
}

Result<replay::Lines> open_letters(const std::string& from) {
  return dead_letter_file(from).and_then([](const std::string& file) { return replay::Lines::open(file); });
}

std::string numbered(std::uint64_t number, std::string_view line) {
  return fmt::format("{{\"number\":{},{}", number, line.substr(line.find('{') + 1));
}

void print_letter(std::uint64_t number, const proto::DeadLetter& letter) {
  fmt::print(
      "number    {}\nsource    {}\nline      {}\noffset    {}\nstage     {}\nattempts  {}\nreason    {}\n",
      number, printable(letter.source), letter.line, letter.offset, printable(letter.stage), letter.attempts,
      printable(letter.reason));
  if (!letter.record) {
    fmt::print("record    {} bytes, too long to be kept here: it is in the source at its offset\n",
               exact_count(letter.length));
    return;
  }
  fmt::print("record    {} bytes{}\n{}\n", exact_count(letter.record->size()),
             is_utf8(*letter.record) ? "" : ", not valid UTF-8", printable(*letter.record));
}

int list(const DeadOptions& options) {
  auto lines = open_letters(options.from);
  if (!lines) return fail_with(lines.error());
  std::uint64_t letters = 0;
  std::uint64_t others = 0;
  std::uint64_t again = 0;  // letters of a record that has one already: its source was read again
  std::unordered_set<std::size_t> records;
  for (;;) {
    auto line = lines->next();
    if (!line) return fail_with(line.error());
    if (!*line) break;
    auto letter = proto::parse_dead_letter(**line);
    if (!letter) {
      ++others;
      fmt::print(stderr, "leat: line {} is no dead letter\n", lines->number());
      continue;
    }
    if (options.json) {
      fmt::print("{}\n", printable_json(numbered(lines->number(), **line)));
    } else {
      fmt::print("{}{}", letters == 0 ? letter_header() : "", letter_line(lines->number(), *letter));
    }
    ++letters;
    const std::string place =
        fmt::format("{}\n{}\n{}", letter->source, letter->offset, letter->record.value_or(""));
    if (!records.insert(std::hash<std::string>{}(place)).second) ++again;
  }
  if (!options.json) {
    fmt::print("{}{}\n", counted(letters, "dead letter"),
               others == 0 ? "" : fmt::format(" and {}", counted(others, "other line")));
    if (again > 0) {
      fmt::print("{} of a record listed above: its source was read again (--fresh, --reread)\n",
                 again == 1 ? "1 is" : exact_count(again) + " are");
    }
  }
  return letters > 0 ? kExitOk : kExitNoInput;
}

int show(const DeadOptions& options) {
  auto lines = open_letters(options.from);
  if (!lines) return fail_with(lines.error());
  for (;;) {
    auto line = lines->next();
    if (!line) return fail_with(line.error());
    if (!*line) {
      fmt::print(stderr, "leat: there is no number {}: the file has {}\n", options.number,
                 counted(lines->number(), "line"));
      return kExitNoInput;
    }
    if (lines->number() != options.number) continue;
    auto letter = proto::parse_dead_letter(**line);
    if (!letter) {
      fmt::print(stderr, "leat: line {} is no dead letter\n", options.number);
      return kExitNoInput;
    }
    if (options.record_only && !letter->record) {
      fmt::print(stderr, "leat: the record is not in the file, only where it is: {} bytes at byte {} of {}\n",
                 letter->length, letter->offset, printable(letter->source));
      return kExitNoInput;
    }
    if (options.record_only) {
      letter->record->push_back('\n');
      std::fwrite(letter->record->data(), 1, letter->record->size(), stdout);
    } else if (options.json) {
      fmt::print("{}\n", printable_json(numbered(options.number, **line)));
    } else {
      print_letter(options.number, *letter);
    }
    return kExitOk;
  }
}

}  // namespace

std::string letter_header() {
  return fmt::format("{:>6}  {:<9} {:>5} {:>9}  {}\n", "NUMBER", "STAGE", "TRIES", "BYTES",
                     "SOURCE:LINE: REASON");
}

std::string letter_line(std::uint64_t number, const proto::DeadLetter& letter) {
  std::uint64_t size = letter.record ? letter.record->size() : letter.length;
  return fmt::format("{:>6}  {:<9} {:>5} {:>9}  {}:{}: {}{}\n", number, printable(letter.stage),
                     letter.attempts, human_bytes(size), printable(letter.source), letter.line,
                     cut_to(printable(letter.reason), kReasonColumns),
                     letter.record ? "" : " (by reference)");
}

int dead(const DeadOptions& options) {
  if (is_leatds(options.from)) return leatd_dead(options);
  return options.show ? show(options) : list(options);
}

}  // namespace leat::cli
