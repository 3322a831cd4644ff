#include "workers/writer/publisher.h"

#include "workers/writer/file.h"

namespace leat::writer {

Result<void> Publisher::add(std::unique_ptr<Output> output) {
  auto finished = output->finish();
  if (finished && output->special()) {
    finished = output->publish();
    if (finished) announce(output->row());
    return finished;
  }
  if (finished && crowded()) finished = output->settle();
  if (finished) waiting_.push_back(std::move(output));
  return finished;
}

void Publisher::add(ledger::Output row) {
  if (row.state == ledger::OutputState::kPublished) announce(row);
  rows_.push_back(std::move(row));
}

Result<void> Publisher::prepare(ledger::Commit& commit) {
  for (auto& output : waiting_) {
    output->keep();
    LEAT_TRY(output->commit());
    output->row().state = ledger::OutputState::kComplete;
    commit.outputs.push_back(&output->row());
  }
  for (auto& row : rows_) commit.outputs.push_back(&row);
  return {};
}

Result<const std::vector<ledger::Output>*> Publisher::committed() {
  rows_.clear();
  std::set<std::string> folders;
  for (auto& output : waiting_) {
    LEAT_TRY(output->publish());
    folders.insert(folder_of(output->target()));
  }
  LEAT_TRY(sync_folders(folders));
  for (auto& output : waiting_) {
    announce(output->row());
    rows_.push_back(output->row());
  }
  waiting_.clear();
  return &rows_;
}

void Publisher::announce(const ledger::Output& row) {
  published_.push_back({row.target, row.record_bytes, row.length});
}

}  // namespace leat::writer
