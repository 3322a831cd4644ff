#include "daemon/supervisor/layout.h"

#include <doctest/doctest.h>

using namespace leat;
using namespace leat::supervisor;
using proto::Stage;

namespace {

config::Pipeline pipeline_with(int filters, int processors) {
  config::Pipeline pipeline;
  pipeline.name = "reviews";
  pipeline.filter.workers = filters;
  pipeline.process.workers = {processors, processors};
  if (processors > 0) pipeline.process.steps.emplace_back();
  return pipeline;
}

// Instances are 10 times the stage and the index.
std::uint32_t instance_of(const Slot& slot) {
  return static_cast<std::uint32_t>(slot.stage) * 10 + slot.index;
}

proto::Welcome welcome_of(const config::Pipeline& pipeline, Slot slot) {
  proto::Welcome welcome;
  welcome.reader.emplace();
  welcome.writer.emplace();
  auto places = static_cast<std::uint32_t>(pipeline.process.workers.max);
  Layout(pipeline, "/run/leat/x-1", 7).fill(welcome, slot, instance_of(slot), places, instance_of);
  return welcome;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("two workers of one slot never take in at the same place") {
  config::Pipeline pipeline = pipeline_with(1, 1);
  Layout layout(pipeline, "/run/leat/x-1", 7);
  CHECK(layout.input({Stage::kFilter, 0}, 1) != layout.input({Stage::kFilter, 0}, 2));
  CHECK(layout.dealer_of(Stage::kProcessor) == Stage::kFilter);
  CHECK_FALSE(layout.dealer_of(Stage::kWriter));
}

TEST_CASE("without steps there are no processors, whatever the pool's size") {
  config::Pipeline pipeline = pipeline_with(2, 0);
  pipeline.process.workers = {4, 4};
  CHECK(
      slots(pipeline, 4) ==
      std::vector<Slot>{{Stage::kReader, 0}, {Stage::kFilter, 0}, {Stage::kFilter, 1}, {Stage::kWriter, 0}});
}

TEST_CASE("the reader deals to the filters and hears from the writer") {
  proto::Welcome welcome = welcome_of(pipeline_with(2, 3), {Stage::kReader, 0});
  CHECK(welcome.output_instances == std::vector<std::uint64_t>{20, 21});
  CHECK(welcome.input.empty());
  CHECK(welcome.outputs ==
        Texts{"ipc:///run/leat/x-1/g7-filter-0.20.in", "ipc:///run/leat/x-1/g7-filter-1.21.in"});
  CHECK(welcome.credits == "ipc:///run/leat/x-1/g7-reader.credits");
  CHECK(welcome.reader->accepted == welcome_of(pipeline_with(2, 3), {Stage::kWriter, 0}).writer->accepted);
}

TEST_CASE("a filter deals to the processors, or hands to the writer when there are none") {
  proto::Welcome dealing = welcome_of(pipeline_with(2, 3), {Stage::kFilter, 1});
  CHECK(dealing.input == "ipc:///run/leat/x-1/g7-filter-1.21.in");
  CHECK(dealing.outputs.size() == 3);
  CHECK(dealing.credits == "ipc:///run/leat/x-1/g7-filter-1.credits");
  CHECK(dealing.credit_to == Texts{"ipc:///run/leat/x-1/g7-reader.credits"});
  proto::Welcome handing = welcome_of(pipeline_with(2, 0), {Stage::kFilter, 1});
  CHECK(handing.outputs == Texts{"ipc:///run/leat/x-1/g7-writer-0.40.in"});
  CHECK(handing.credits.empty());
}

TEST_CASE("a processor gives its credits to the filter that dealt") {
  proto::Welcome welcome = welcome_of(pipeline_with(2, 3), {Stage::kProcessor, 2});
  CHECK(welcome.input == "ipc:///run/leat/x-1/g7-processor-2.32.in");
  CHECK(welcome.outputs == Texts{"ipc:///run/leat/x-1/g7-writer-0.40.in"});
  CHECK(welcome.credit_to ==
        Texts{"ipc:///run/leat/x-1/g7-filter-0.credits", "ipc:///run/leat/x-1/g7-filter-1.credits"});
}

TEST_CASE("every output is somebody's input, and every credit somebody's credits") {
  config::Pipeline pipeline = pipeline_with(2, 3);
  Texts inputs, credits;
  for (const Slot& slot : slots(pipeline, pipeline.process.workers.max)) {
    inputs.push_back(welcome_of(pipeline, slot).input);
    credits.push_back(welcome_of(pipeline, slot).credits);
  }
  for (const Slot& slot : slots(pipeline, pipeline.process.workers.max)) {
    for (const auto& to : welcome_of(pipeline, slot).outputs) {
      CHECK(std::find(inputs.begin(), inputs.end(), to) != inputs.end());
    }
    for (const auto& to : welcome_of(pipeline, slot).credit_to) {
      CHECK(std::find(credits.begin(), credits.end(), to) != credits.end());
    }
  }
}

TEST_CASE("a runtime folder too long for a socket path is named with what to do") {
  config::Pipeline pipeline = pipeline_with(1, 2);
  CHECK(Layout(pipeline, std::string(77, 'x'), 1).problem().empty());
  CHECK(Layout(pipeline, std::string(90, 'x'), 1).problem().find("--runtime-dir") != std::string::npos);
}
