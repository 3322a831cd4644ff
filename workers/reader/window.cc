#include "workers/reader/window.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "workers/reader/line_reader.h"

namespace leat::reader {

void Window::sent(proto::Batch batch, std::uint32_t to) {
  Entry entry;
  entry.batch = std::move(batch);
  entry.filter = to;
  entry.charge = charge(entry.batch.header());
  bytes_ += entry.charge;
  input_bytes_ += entry.input();
  lines_ += entry.line_count();
  alone_ = entry.batch.header().records_bytes > kTravelsAlone;
  sent_.push_back(std::move(entry));
  if (is_dead(to)) mark(sent_.back());
}

bool Window::has_time(double record_us) const {
  constexpr std::size_t kAlways = 2;  // for each processor and on their way
  const double work_us = static_cast<double>(lines_) * record_us;
  if (record_us > 0 && work_us < kWorkUs) return true;
  std::vector<std::uint32_t> processors;
  for (const Entry& entry : sent_) {
    if (entry.processor != 0) processors.push_back(entry.processor);
  }
  std::sort(processors.begin(), processors.end());
  const auto last = std::unique(processors.begin(), processors.end());
  const auto known = std::max<std::size_t>(1, static_cast<std::size_t>(last - processors.begin()));
  if (sent_.size() < kAlways * (known + 1)) return true;
  if (record_us == 0) return lines_ == 0;
  return work_us < kWorkUs * static_cast<double>(known);
}

void Window::accepted(const proto::Accepted& accepted) {
  while (!sent_.empty() && sent_.front().batch.header().sequence <= accepted.accepted) {
    bytes_ -= sent_.front().charge;
    input_bytes_ -= sent_.front().input();
    lines_ -= sent_.front().line_count();
    if (sent_.front().resend) --resend_;
    sent_.pop_front();
  }
  if (sent_.empty()) alone_ = false;
  // Parts are progress, too.
  if ((last_accepted_ != accepted.accepted || last_part_ != accepted.part) &&
      std::exchange(refused_, false)) {
    for (Entry& entry : sent_) entry.refusals = 0;
  }
  last_accepted_ = accepted.accepted;
  last_part_ = accepted.part;
  if (accepted.part > 0) take_part(accepted);
}

void Window::take_part(const proto::Accepted& accepted) {
  Entry* entry = find(accepted.accepted + 1);
  if (entry == nullptr || accepted.part <= entry->part) return;
  const proto::Header& header = entry->batch.header();
  entry->part = accepted.part;
  input_bytes_ -= entry->input();
  entry->begin = static_cast<std::size_t>(accepted.cut_offset - header.first_offset);
  LEAT_CHECK(accepted.cut_offset >= header.first_offset && entry->begin < header.records_bytes,
             "a batch was cut where it is not");
  input_bytes_ += entry->input();
  entry->lines = accepted.cut_line;
  entry->wanted = accepted.wanted;
  entry->piece.reset();
  mark(*entry);
}

proto::Batch Window::make_piece(const Entry& entry, const Growth& growth) const {
  const std::string_view records = entry.batch.records();
  // A record that has asked for more gets it, alone: nothing is known of those behind it.
  const std::size_t target = entry.wanted > 0 ? 1 : growth.input_bytes();
  std::size_t end = records.size();
  bool single = true;
  if (target < end - entry.begin) {
    const void* last = ::memrchr(records.data() + entry.begin, '\n', target);
    single = last == nullptr;
    end = single ? records.find('\n', entry.begin) + 1
                 : static_cast<std::size_t>(static_cast<const char*>(last) - records.data()) + 1;
  }
  proto::Batch piece = part_of(entry.batch, entry.begin, end, entry.lines, payloads_);
  proto::Header header = piece.header();
  header.part = entry.part;
  header.grant = std::max(growth.grant_for(end - entry.begin, single), entry.wanted);
  return std::move(piece).reseal(header);
}

Window::Entry* Window::find(std::uint64_t sequence) {
  if (sent_.empty()) return nullptr;
  std::uint64_t first = sent_.front().batch.header().sequence;
  if (sequence < first || sequence - first >= sent_.size()) return nullptr;
  return &sent_[static_cast<std::size_t>(sequence - first)];
}

void Window::mark(Entry& entry) {
  if (entry.resend) return;
  entry.resend = true;
  ++resend_;
}

bool Window::is_dead(std::uint32_t instance) const {
  return instance != 0 && std::find(dead_.begin(), dead_.end(), instance) != dead_.end();
}

void Window::credit(const proto::Credit& credit) {
  Entry* entry = find(credit.sequence);
  if (entry == nullptr) return;
  if (credit.refused || is_dead(credit.dealt_to)) {
    if (credit.refused) {
      ++entry->refusals;
      refused_ = true;
    }
    mark(*entry);
  } else if (credit.instance == entry->filter) {
    entry->processor = credit.dealt_to;
  }
}

void Window::resend(std::uint32_t instance) {
  if (instance != 0) {
    constexpr std::size_t kRemembered = 256;
    dead_.push_back(instance);
    if (dead_.size() > kRemembered) dead_.pop_front();
  }
  for (Entry& entry : sent_) {
    if (instance == 0 || entry.filter == instance || entry.processor == instance) mark(entry);
  }
}

const proto::Batch* Window::hopeless() const {
  constexpr int kMostRefusals = 16;
  if (!refused_) return nullptr;
  auto entry =
      std::find_if(sent_.begin(), sent_.end(), [](const Entry& e) { return e.refusals >= kMostRefusals; });
  return entry == sent_.end() ? nullptr : &entry->batch;
}

bool Window::quarantine(const proto::Quarantine& record) {
  for (Entry& entry : sent_) {
    auto changed = without_record(entry.batch, record, payloads_);
    if (!changed) continue;
    // The writer has it already.
    if (record.offset - entry.batch.header().first_offset < entry.begin) return true;
    entry.batch = *std::move(changed);
    entry.piece.reset();
    mark(entry);
    return true;
  }
  return false;
}

proto::Batch& Window::next_resend(const Growth& growth) {
  auto entry = std::find_if(sent_.begin(), sent_.end(), [](const Entry& e) { return e.resend; });
  if (entry->part == 0) return entry->batch;
  if (!entry->piece) {
    entry->piece = make_piece(*entry, growth);
    const std::size_t now =
        std::max<std::size_t>(entry->batch.header().records_bytes, charge(entry->piece->header()));
    bytes_ += now - entry->charge;
    entry->charge = now;
  }
  return *entry->piece;
}

void Window::resent(std::uint32_t to) {
  auto entry = std::find_if(sent_.begin(), sent_.end(), [](const Entry& e) { return e.resend; });
  entry->resend = false;
  --resend_;
  entry->filter = to;
  entry->processor = 0;
  if (is_dead(to)) mark(*entry);
}

proto::Batch part_of(const proto::Batch& batch, std::size_t begin, std::size_t end, std::uint64_t lines,
                     const proto::PayloadPool& payloads) {
  proto::Header header = batch.header();
  const std::string_view records = batch.records();
  const std::uint64_t lines_before = lines - (header.first_line - 1);
  header.first_line = lines + 1;
  header.first_offset += begin;
  if (end < records.size()) {
    header.cut_at(lines + count_newlines(records.data() + begin, end - begin),
                  header.first_offset + (end - begin));
  }
  header.in = header.rejected = 0;
  Buffer rejects(batch.rejects().size());
  auto decoded = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& r) {
    if (r.origin.offset_delta < begin || r.origin.offset_delta >= end) return;
    proto::Reject reject = r;
    reject.origin.line_delta -= static_cast<std::uint32_t>(lines_before);
    reject.origin.offset_delta -= static_cast<std::uint32_t>(begin);
    proto::encode_reject(rejects, reject);
    ++header.in;
    ++header.rejected;
  });
  LEAT_CHECK(decoded.has_value(), "our own rejects");
  Buffer payload = payloads.payload(end - begin);
  payload.append(records.substr(begin, end - begin));
  return proto::Batch::seal(header, std::move(payload), {}, rejects.view());
}

std::optional<proto::Batch> without_record(const proto::Batch& batch, const proto::Quarantine& quarantine,
                                           const proto::PayloadPool& payloads) {
  proto::Header header = batch.header();
  std::string_view records = batch.records();
  if (header.kind != proto::BatchKind::kRecords || header.source != quarantine.source ||
      quarantine.offset < header.first_offset || quarantine.offset - header.first_offset >= records.size()) {
    return std::nullopt;
  }
  auto begin = static_cast<std::size_t>(quarantine.offset - header.first_offset);
  std::size_t end = std::min(records.find('\n', begin), records.size());
  std::string_view record = records.substr(begin, end - begin);
  if (record.find_first_not_of(' ') == std::string_view::npos) return std::nullopt;  // quarantined before

  proto::Reject reject;
  reject.origin = {static_cast<std::uint32_t>(count_newlines(records.data(), begin)),
                   static_cast<std::uint32_t>(begin)};
  reject.stage = quarantine.stage;
  reject.attempts = static_cast<std::uint8_t>(std::min(quarantine.attempts, 255U));
  reject.reason = quarantine.reason;
  reject.record = record;
  std::vector<proto::Reject> all;
  auto before = proto::decode_rejects(batch.rejects(), [&](const proto::Reject& r) { all.push_back(r); });
  LEAT_CHECK(before.has_value(), "our own rejects");
  all.push_back(reject);
  std::sort(all.begin(), all.end(), [](const proto::Reject& a, const proto::Reject& b) {
    return a.origin.line_delta < b.origin.line_delta;
  });
  Buffer rejects(record.size() + batch.rejects().size() + 256);
  for (const proto::Reject& r : all) proto::encode_reject(rejects, r);

  Buffer payload = payloads.payload(records.size());
  payload.append(records);
  std::memset(payload.data() + begin, ' ', end - begin);
  header.in += 1;
  header.rejected += 1;
  header.attempt += 1;
  return proto::Batch::seal(header, std::move(payload), {}, rejects.view());
}

}  // namespace leat::reader
