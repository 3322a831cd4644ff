#include "tests/unit/writer/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace leat::test {

namespace {

proto::Batch seal(const proto::Header& header, std::string_view records, std::string_view rejects = {}) {
  Buffer buffer(records.size(), proto::kHeaderBytes);
  buffer.append(records);
  return proto::Batch::seal(header, std::move(buffer), {}, rejects);
}

}  // namespace

Fate fate_of(std::uint64_t line) {
  return line % 7 == 3 ? Fate::kDead : line % 5 == 0 ? Fate::kDropped : Fate::kKept;
}

std::string Input::line(std::uint64_t number) const {
  return fmt::format("{{\"from\":\"{}\",\"line\":{}}}\n", path, number);
}

std::string Input::kept() const {
  std::string text;
  for (std::uint64_t number = 1; number <= lines; ++number) {
    if (fate_of(number) == Fate::kKept) text += line(number);
  }
  return text;
}

proto::Header Script::header(proto::BatchKind kind, std::uint64_t id) {
  proto::Header header;
  header.kind = kind;
  header.epoch = epoch_;
  header.sequence = ++sequence_;
  header.source = id;
  return header;
}

void Script::set_place(proto::Header& header, const Input& input, std::uint64_t lines) const {
  header.end_line = lines;
  header.end_offset = 0;
  for (std::uint64_t number = 1; number <= lines; ++number) header.end_offset += input.line(number).size();
}

proto::Batch Script::opened(std::uint64_t id, const Input& input, std::uint64_t lines_before) {
  return event(id, proto::SourceOpened{input.path, input.lines * 10, 5, 3, 9, "none"}, &input, lines_before);
}

proto::Batch Script::ended(std::uint64_t id, const Input& input) {
  return event(id, proto::SourceEnded{input.path, input.lines * 10, 5, input.lines, 0}, &input, input.lines);
}

proto::Batch Script::event(std::uint64_t id, const proto::SourceEvent& event, const Input* at,
                           std::uint64_t lines_before) {
  proto::Header head = header(std::visit([](const auto& what) { return what.kKind; }, event), id);
  if (at != nullptr) set_place(head, *at, lines_before);
  return proto::Batch::seal(head, proto::encode_payload(event));
}

proto::Batch Script::end_of_input(bool stopped, std::uint64_t done) {
  return event(0, proto::EndOfInput{stopped, done});
}

proto::Batch Script::records(std::uint64_t id, const Input& input, std::uint64_t first, std::uint64_t last) {
  proto::Header head = header(proto::BatchKind::kRecords, id);
  set_place(head, input, first - 1);
  head.first_line = first;
  head.first_offset = head.end_offset;
  set_place(head, input, last);
  std::string records;
  Buffer rejects;
  std::uint32_t offset = 0;
  for (std::uint64_t number = first; number <= last; ++number) {
    std::string line = input.line(number);
    ++head.in;
    switch (fate_of(number)) {
      case Fate::kDropped:
        ++head.dropped;
        break;
      case Fate::kDead: {
        ++head.rejected;
        proto::Reject reject;
        reject.origin = {static_cast<std::uint32_t>(number - first), offset};
        reject.record_bytes = line.size() - 1;
        reject.reason = "unlucky";
        std::string record = line.substr(0, line.size() - 1);
        reject.record = record;
        proto::encode_reject(rejects, reject);
        break;
      }
      case Fate::kKept:
        ++head.kept;
        ++head.out;
        records += line;
    }
    offset += static_cast<std::uint32_t>(line.size());
  }
  return seal(head, records, rejects.view());
}

void play(ledger::View& view, std::uint64_t epoch, const std::vector<Input>& inputs,
          std::uint64_t batch_lines, const std::function<bool(const proto::Batch&)>& take) {
  Script script(epoch);
  std::uint64_t next_id = view.last_source_id().value() + 1;
  std::uint64_t done = 0;
  for (const Input& input : inputs) {
    auto known = view.source_at(input.path).value();
    if (known && known->state == ledger::SourceState::kDone) {
      ++done;
      continue;
    }
    std::uint64_t id = known ? known->id : next_id++;
    std::uint64_t lines = known ? known->place.lines : 0;
    if (!take(script.opened(id, input, lines))) return;
    while (lines < input.lines) {
      std::uint64_t last = std::min(lines + batch_lines, input.lines);
      if (!take(script.records(id, input, lines + 1, last))) return;
      lines = last;
    }
    if (!take(script.ended(id, input))) return;
  }
  take(script.end_of_input(false, done));
}

}  // namespace leat::test
