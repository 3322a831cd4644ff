#include "workers/writer/stage.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

namespace leat::writer {

namespace {

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::size_t kTroublesKept = 100;  // in the summary; all are warned about

std::string text_of(const rapidjson::Document& event, const char* key) {
  auto member = event.FindMember(key);
  if (member == event.MemberEnd() || !member->value.IsString()) return {};
  return {member->value.GetString(), member->value.GetStringLength()};
}

std::uint64_t number_of(const rapidjson::Document& event, const char* key) {
  auto member = event.FindMember(key);
  return member != event.MemberEnd() && member->value.IsUint64() ? member->value.GetUint64() : 0;
}

}  // namespace

WriterStage::WriterStage(const config::Pipeline& pipeline, bool force, OnWarning on_warning)
    : pipeline_(pipeline),
      on_warning_(std::move(on_warning)),
      sink_(pipeline.sink, pipeline.source.paths, force) {
  if (!pipeline.dead_letter_path.empty())
    dead_letters_ = std::make_unique<DeadLetters>(pipeline.dead_letter_path);
}

Result<void> WriterStage::check_start() {
  if (auto checked = sink_.check_start(); !checked || !dead_letters_) return checked;
  auto checked = dead_letters_->check_start();
  if (std::string note = dead_letters_->take_note(); !note.empty()) on_warning_(note);
  return checked;
}

Result<void> WriterStage::apply(const proto::Batch& batch) {
  return batch.header().kind == proto::BatchKind::kRecords ? apply_records(batch) : apply_event(batch);
}

Result<void> WriterStage::apply_records(const proto::Batch& batch) {
  const proto::Header& header = batch.header();
  totals_.in += header.in;
  totals_.kept += header.kept;
  totals_.dropped += header.dropped;
  totals_.dead += header.rejected;
  totals_.out += header.out;
  totals_.out_bytes += header.records_bytes;
  if (!totals_.adds_up()) {
    return fail(Fault::kFatal,
                fmt::format("the counts of batch {} do not add up: in {} kept {} dropped {} rejected {}",
                            header.sequence, header.in, header.kept, header.dropped, header.rejected),
                kExitBug);
  }
  if (auto applied = apply_rejects(batch); !applied) return applied;
  return batch.records().empty() ? Result<void>{} : sink_.write(header.source, batch.records());
}

Result<void> WriterStage::apply_rejects(const proto::Batch& batch) {
  if (batch.rejects().empty()) return {};
  const proto::Header& header = batch.header();
  auto source = open_sources_.find(header.source);
  std::string path = source == open_sources_.end() ? std::string() : source->second;
  Result<void> result;
  auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& reject) {
    DeadLetter letter;
    letter.source = path;
    letter.line = header.first_line + reject.origin.line_delta;
    letter.offset = header.first_offset + reject.origin.offset_delta;
    letter.stage = proto::to_string(reject.stage);
    letter.reason = reject.reason;
    letter.attempts = reject.attempts;
    letter.length = reject.record_bytes;
    if (!reject.by_reference) letter.record = reject.record;
    if (dead_letters_) {
      if (result) result = dead_letters_->append(letter);
    } else if (!std::exchange(told_of_loss_, true)) {
      on_warning_(
          fmt::format("{}:{}: rejected by the {}: {}. Set dead_letter.path to keep such records; without it "
                      "they are only counted (said once)",
                      path, letter.line, letter.stage, letter.reason));
    }
  });
  return decoded ? result : decoded;
}

Result<void> WriterStage::apply_event(const proto::Batch& batch) {
  const proto::Header& header = batch.header();
  rapidjson::Document event;
  event.Parse(batch.records().data(), batch.records().size());
  if (event.HasParseError() || !event.IsObject()) {
    return fail(Fault::kFatal, fmt::format("event {} is not a JSON object", header.sequence), kExitBug);
  }
  auto trouble = [&](std::vector<Trouble>& list) {
    Trouble found{text_of(event, "path"), number_of(event, "offset"), text_of(event, "reason")};
    bool named = found.reason.find(found.path) != std::string::npos;
    on_warning_(named ? found.reason : fmt::format("{}: {}", found.path, found.reason));
    if (list.size() < kTroublesKept) list.push_back(std::move(found));
  };
  switch (header.kind) {
    case proto::BatchKind::kSourceOpened:
      open_sources_[header.source] = text_of(event, "path");
      return sink_.source_opened(header.source, text_of(event, "path"));
    case proto::BatchKind::kSourceEnded:
      ++sources_done_;
      open_sources_.erase(header.source);
      return sink_.source_ended(header.source);
    case proto::BatchKind::kSourceFailed: {
      ++sources_failed_;
      trouble(failed_);
      // A source that could not even be opened has no output to end.
      bool opened = open_sources_.erase(header.source) != 0;
      return opened ? sink_.source_ended(header.source) : Result<void>{};
    }
    case proto::BatchKind::kSourceChanged:
      ++sources_changed_;
      trouble(changed_);
      return {};
    case proto::BatchKind::kEndOfInput: {
      auto stopped = event.FindMember("stopped");
      stopped_ = stopped != event.MemberEnd() && stopped->value.IsTrue();
      ended_ = true;
      return {};
    }
    case proto::BatchKind::kRecords:
      break;
  }
  return fail(Fault::kFatal, "an event of an unknown kind", kExitBug);
}

Result<void> WriterStage::commit() {
  if (auto committed = sink_.commit(); !committed) return tl::unexpected(committed.error());
  return dead_letters_ ? dead_letters_->commit() : Result<void>{};
}

Result<void> WriterStage::finish() {
  if (stopped_) {
    abandon();
    return dead_letters_ ? dead_letters_->commit() : Result<void>{};
  }
  if (auto finished = sink_.finish(); !finished) return finished;
  return dead_letters_ ? dead_letters_->commit() : Result<void>{};
}

std::string WriterStage::summary_json() {
  for (auto& published : sink_.take_published()) published_.push_back(std::move(published));
  rapidjson::StringBuffer buffer;
  JsonWriter json(buffer);
  auto number = [&](const char* key, std::uint64_t value) {
    json.Key(key);
    json.Uint64(value);
  };
  auto text = [&](const char* key, const std::string& value) {
    json.Key(key);
    json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
  };
  auto troubles = [&](const char* key, const std::vector<Trouble>& list) {
    json.Key(key);
    json.StartArray();
    for (const auto& found : list) {
      json.StartObject();
      text("path", found.path);
      number("offset", found.offset);
      text("reason", found.reason);
      json.EndObject();
    }
    json.EndArray();
  };
  json.StartObject();
  json.Key("stopped");
  json.Bool(stopped_);
  number("in", totals_.in);
  number("kept", totals_.kept);
  number("dropped", totals_.dropped);
  number("dead", totals_.dead);
  number("out", totals_.out);
  number("out_bytes", totals_.out_bytes);
  json.Key("outputs");
  json.StartArray();
  for (const auto& published : published_) {
    json.StartObject();
    text("path", published.path);
    number("bytes", published.disk_bytes);
    number("records_bytes", published.record_bytes);
    json.EndObject();
  }
  json.EndArray();
  json.Key("dead_letter");
  json.StartObject();
  text("path", pipeline_.dead_letter_path);
  number("records", dead_letters_ ? dead_letters_->count() : 0);
  json.EndObject();
  json.Key("sources");
  json.StartObject();
  number("done", sources_done_);
  number("failed_count", sources_failed_);
  number("changed_count", sources_changed_);
  troubles("failed", failed_);
  troubles("changed", changed_);
  json.EndObject();
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace leat::writer
