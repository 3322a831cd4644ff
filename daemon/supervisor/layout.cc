#include "daemon/supervisor/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "proto/dealer.h"

namespace leat::supervisor {

using proto::Stage;

namespace {

constexpr std::array kStages{Stage::kReader, Stage::kFilter, Stage::kProcessor, Stage::kWriter};

std::uint32_t pool_size(const config::Pipeline& pipeline, Stage stage, std::uint32_t processors) {
  if (stage == Stage::kFilter) return static_cast<std::uint32_t>(std::max(pipeline.filter.workers, 1));
  if (stage != Stage::kProcessor) return 1;
  return pipeline.has_processors() ? processors : 0;
}

}  // namespace

std::string slot_name(const Slot& slot) {
  return fmt::format("{}-{}", to_string(slot.stage), slot.index);
}

std::string program_name(Stage stage) {
  return fmt::format("leat-{}", to_string(stage));
}

std::vector<Slot> slots(const config::Pipeline& pipeline, int processors) {
  std::vector<Slot> all;
  for (Stage stage : kStages) {
    for (std::uint32_t i = 0; i < pool_size(pipeline, stage, static_cast<std::uint32_t>(processors)); ++i)
      all.push_back({stage, i});
  }
  return all;
}

std::string worker_name(const Slot& slot, std::uint32_t instance) {
  return fmt::format("{}.{}", slot_name(slot), instance);
}

std::string Layout::mark() const {
  return fmt::format("g{}-", generation_);
}

std::string Layout::path(std::string_view name) const {
  return fmt::format("{}/{}{}", runtime_, mark(), name);
}

std::string Layout::socket(const Slot& slot, std::uint32_t instance) const {
  return slot.stage == Stage::kReader ? std::string() : path(worker_name(slot, instance) + ".in");
}

std::string Layout::input(const Slot& slot, std::uint32_t instance) const {
  return slot.stage == Stage::kReader ? std::string() : "ipc://" + socket(slot, instance);
}

std::optional<Stage> Layout::dealer_of(Stage stage) const {
  if (stage == Stage::kFilter) return Stage::kReader;
  if (stage == Stage::kProcessor) return Stage::kFilter;
  return std::nullopt;
}

void Layout::fill(proto::Welcome& welcome, const Slot& slot, std::uint32_t instance, std::uint32_t places,
                  const InstanceOf& instance_of) const {
  welcome.input = input(slot, instance);
  auto deal_to = [&](Stage stage) {
    for (std::uint32_t i = 0; i < pool_size(pipeline_, stage, places); ++i) {
      std::uint32_t receiver = instance_of({stage, i});
      welcome.outputs.push_back(input({stage, i}, receiver));
      welcome.output_instances.push_back(receiver);
    }
  };
  switch (slot.stage) {
    case Stage::kReader:
      deal_to(Stage::kFilter);
      welcome.credits = endpoint("reader.credits");
      welcome.reader->accepted = endpoint("reader.accepted");
      break;
    case Stage::kFilter:
      welcome.credit_to = {endpoint("reader.credits")};
      deal_to(pipeline_.has_processors() ? Stage::kProcessor : Stage::kWriter);
      if (pipeline_.has_processors()) welcome.credits = endpoint(slot_name(slot) + ".credits");
      break;
    case Stage::kProcessor:
      deal_to(Stage::kWriter);
      for (std::uint32_t i = 0; i < pool_size(pipeline_, Stage::kFilter, 0); ++i) {
        welcome.credit_to.push_back(endpoint(slot_name({Stage::kFilter, i}) + ".credits"));
      }
      break;
    case Stage::kWriter:
      welcome.writer->accepted = endpoint("reader.accepted");
      break;
  }
}

std::string Layout::problem() const {
  constexpr std::uint32_t kLong = 9'999'999;
  std::size_t longest = path("reader.accepted").size();
  for (const Slot& slot : slots(pipeline_, proto::Dealer::kMaxMembers)) {
    longest = std::max(longest, path(slot_name(slot) + ".credits").size());
    longest = std::max(longest, path(worker_name(slot, kLong) + ".in").size());
  }
  if (longest <= kMaxSocketPath) return {};
  return fmt::format(
      "the runtime folder {} makes socket paths of {} bytes and the system allows {}; choose a shorter "
      "folder with "
      "--runtime-dir",
      runtime_, longest, kMaxSocketPath);
}

}  // namespace leat::supervisor
