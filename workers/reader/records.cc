#include "workers/reader/records.h"

#include <algorithm>
#include <utility>

namespace leat::reader {
namespace {

class LedgerRecords : public Records {
 public:
  explicit LedgerRecords(ledger::View view) : view_(std::move(view)) {}

  Result<std::uint64_t> last_id() override { return view_.last_source_id(); }
  Result<void> each_done(const EachDone& each) override {
    return view_.each_done(
        [&each](const ledger::View::Done& done) { each(done.path, done.size, done.mtime_ns); });
  }
  Result<std::vector<ledger::Source>> open() override { return view_.open_sources(); }
  Result<std::optional<ledger::Source>> at(const std::string& path) override { return view_.source_at(path); }
  Result<std::vector<ledger::Source>> like(std::uint64_t size, std::int64_t mtime_ns) override {
    return view_.sources_like(size, mtime_ns);
  }
  Result<std::vector<ledger::Source>> after_due(std::uint64_t last, std::size_t count) override {
    return view_.after_due(last, count);
  }
  Result<std::uint64_t> oldest_unfinished() override { return view_.oldest_unfinished(); }
  Result<std::vector<ledger::View::Sought>> sought_after(std::uint64_t last, std::size_t count) override {
    return view_.sought_after(last, count);
  }
  Result<std::int64_t> looked_s() override { return view_.looked_s(); }
  Result<bool> published(std::uint64_t id) override {
    const std::vector<ledger::Output> outputs = LEAT_TRY(view_.outputs_of_source(id));
    return std::any_of(outputs.begin(), outputs.end(), [](const ledger::Output& output) {
      return output.state != ledger::OutputState::kWriting;
    });
  }

 private:
  ledger::View view_;
};

}  // namespace

Result<std::unique_ptr<Records>> open_records(const std::string& state_folder) {
  if (state_folder.empty()) return nullptr;
  std::optional<ledger::View> view = LEAT_TRY(ledger::View::open(state_folder));
  if (!view) return nullptr;
  return std::make_unique<LedgerRecords>(*std::move(view));
}

}  // namespace leat::reader
