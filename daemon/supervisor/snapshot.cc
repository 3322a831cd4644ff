#include "daemon/supervisor/snapshot.h"

#include <algorithm>
#include <array>

namespace leat::supervisor {

using proto::Stage;
using stage::Activity;

namespace {

// Of what was read from disk, the part that the writer has accepted: the rest is on its way, and may be for long.
std::uint64_t done_of(std::uint64_t disk, std::uint64_t sent, std::uint64_t accepted) {
  if (accepted >= sent) return disk;
  return static_cast<std::uint64_t>(static_cast<double>(disk) * static_cast<double>(accepted) /
                                    static_cast<double>(sent));
}

}  // namespace

void add_page(Snapshot& snapshot, Stage stage, const stage::MappedPage& page) {
  switch (stage) {
    case Stage::kReader:
      snapshot.disk_bytes += done_of(read(page->disk_bytes), read(page->bytes_in), read(page->bytes_out));
      snapshot.total_disk_bytes += read(page->total_disk_bytes);
      snapshot.sources_total += read(page->sources_total);
      snapshot.sources_done += read(page->sources_done);
      snapshot.sources_failed += read(page->sources_failed);
      snapshot.reader_text = page.text();
      break;
    case Stage::kFilter:
      snapshot.bytes_in += read(page->bytes_in);
      break;
    case Stage::kProcessor:
      break;
    case Stage::kWriter:
      // Of the whole run: a batch that is sent again counts once, and a writer that takes over keeps counting.
      snapshot.records_in += read(page->records_in);
      snapshot.kept += read(page->kept);
      snapshot.dropped += read(page->dropped);
      snapshot.dead += read(page->rejected);
      break;
  }
}

std::array<std::uint64_t, 4> activity_totals(const stage::MappedPage& page, std::uint64_t now_ns) {
  std::array<std::uint64_t, 4> ns{};
  for (std::size_t i = 0; i < ns.size(); ++i) ns[i] = read(page->activity_ns[i]);
  auto current = std::min<std::size_t>(read(page->activity), ns.size() - 1);
  std::uint64_t since = read(page->activity_since_ns);
  if (now_ns > since) ns[current] += now_ns - since;
  return ns;
}

StageShares shares_between(Stage stage, const std::array<std::uint64_t, 4>& before,
                           const std::array<std::uint64_t, 4>& after) {
  // A worker may have changed its page while it was read: time never runs backwards all the same.
  auto of = [&](Activity activity) {
    auto at = static_cast<std::size_t>(activity);
    return after[at] > before[at] ? static_cast<double>(after[at] - before[at]) : 0.0;
  };
  double total = of(Activity::kBusy) + of(Activity::kBlocked) + of(Activity::kIdle);
  StageShares shares{stage, 1, 0, 0, 0};
  if (total <= 0) return shares;
  shares.busy = of(Activity::kBusy) / total;
  shares.blocked = of(Activity::kBlocked) / total;
  shares.idle = of(Activity::kIdle) / total;
  return shares;
}

std::vector<StageShares> mean_by_stage(const std::vector<StageShares>& workers) {
  std::vector<StageShares> stages;
  for (const auto& worker : workers) {
    if (stages.empty() || stages.back().stage != worker.stage) stages.push_back({worker.stage, 0, 0, 0, 0});
    StageShares& stage = stages.back();
    stage.workers += worker.workers;
    stage.busy += worker.busy;
    stage.blocked += worker.blocked;
    stage.idle += worker.idle;
  }
  for (auto& stage : stages) {
    stage.busy /= stage.workers;
    stage.blocked /= stage.workers;
    stage.idle /= stage.workers;
  }
  return stages;
}

const StageShares* busiest(const std::vector<StageShares>& stages) {
  auto most = std::max_element(stages.begin(), stages.end(),
                               [](const auto& a, const auto& b) { return a.busy < b.busy; });
  return most == stages.end() ? nullptr : &*most;
}

}  // namespace leat::supervisor
