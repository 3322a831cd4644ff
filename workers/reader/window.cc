#include "workers/reader/window.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "workers/reader/line_reader.h"

namespace leat::reader {

void Window::sent(proto::Batch batch, std::uint32_t to) {
  bytes_ += batch.header().records_bytes;
  alone_ = batch.header().records_bytes > kTravelsAlone;
  sent_.push_back({std::move(batch), to});
  if (is_dead(to)) mark(sent_.back());
}

std::size_t Window::accepted(std::uint64_t sequence) {
  std::size_t last = 0;
  while (!sent_.empty() && sent_.front().batch.header().sequence <= sequence) {
    last = sent_.front().batch.header().records_bytes;
    bytes_ -= last;
    if (sent_.front().resend) --resend_;
    sent_.pop_front();
  }
  if (sent_.empty()) alone_ = false;
  return last;
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
    mark(*entry);
  } else if (credit.instance == entry->filter) {
    entry->processor = credit.dealt_to;
  }
}

void Window::again(std::uint32_t instance) {
  if (instance != 0) {
    constexpr std::size_t kRemembered = 256;
    dead_.push_back(instance);
    if (dead_.size() > kRemembered) dead_.pop_front();
  }
  for (Entry& entry : sent_) {
    if (instance == 0 || entry.filter == instance || entry.processor == instance) mark(entry);
  }
}

bool Window::condemn(const proto::Verdict& verdict) {
  for (Entry& entry : sent_) {
    auto changed = without_record(entry.batch, verdict);
    if (!changed) continue;
    entry.batch = *std::move(changed);
    mark(entry);
    return true;
  }
  return false;
}

proto::Batch& Window::next_resend() {
  auto entry = std::find_if(sent_.begin(), sent_.end(), [](const Entry& e) { return e.resend; });
  return entry->batch;
}

void Window::resent(std::uint32_t to) {
  auto entry = std::find_if(sent_.begin(), sent_.end(), [](const Entry& e) { return e.resend; });
  entry->resend = false;
  --resend_;
  entry->filter = to;
  entry->processor = 0;
  if (is_dead(to)) mark(*entry);
}

std::optional<proto::Batch> without_record(const proto::Batch& batch, const proto::Verdict& verdict) {
  proto::Header header = batch.header();
  std::string_view records = batch.records();
  if (header.kind != proto::BatchKind::kRecords || header.source != verdict.source ||
      verdict.offset < header.first_offset || verdict.offset - header.first_offset >= records.size()) {
    return std::nullopt;
  }
  auto begin = static_cast<std::size_t>(verdict.offset - header.first_offset);
  std::size_t end = std::min(records.find('\n', begin), records.size());
  std::string_view record = records.substr(begin, end - begin);
  if (record.find_first_not_of(' ') == std::string_view::npos) return std::nullopt;  // condemned before

  proto::Reject reject;
  reject.origin = {static_cast<std::uint32_t>(count_newlines(records.data(), begin)),
                   static_cast<std::uint32_t>(begin)};
  reject.stage = verdict.stage;
  reject.attempts = static_cast<std::uint8_t>(std::min(verdict.attempts, 255U));
  reject.reason = verdict.reason;
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

  Buffer payload(records.size(), proto::kHeaderBytes);
  payload.append(records);
  std::memset(payload.data() + begin, ' ', end - begin);
  header.in += 1;
  header.rejected += 1;
  header.attempt += 1;
  return proto::Batch::seal(header, std::move(payload), {}, rejects.view());
}

}  // namespace leat::reader
