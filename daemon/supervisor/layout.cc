#include "daemon/supervisor/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace leat::supervisor {

using proto::Stage;

namespace {

constexpr std::array kStages{Stage::kReader, Stage::kFilter, Stage::kProcessor, Stage::kWriter};

std::uint32_t pool_size(const config::Pipeline& pipeline, Stage stage) {
  if (stage == Stage::kFilter) return static_cast<std::uint32_t>(std::max(pipeline.filter.workers, 1));
  if (stage != Stage::kProcessor) return 1;
  return pipeline.has_processors() ? static_cast<std::uint32_t>(std::max(pipeline.process.workers, 1)) : 0;
}

}  // namespace

std::string seat_name(const Seat& seat) {
  return fmt::format("{}-{}", to_string(seat.stage), seat.index);
}

std::optional<Seat> parse_seat(std::string_view name) {
  for (Stage stage : kStages) {
    std::string_view role = to_string(stage);
    if (!name.starts_with(role) || name.substr(role.size(), 1) != "-") continue;
    std::string_view digits = name.substr(role.size() + 1);
    Seat seat{stage, 0};
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seat.index);
    if (error != std::errc() || seat_name(seat) != name) return std::nullopt;
    return seat;
  }
  return std::nullopt;
}

std::string program_name(Stage stage) {
  return fmt::format("leat-{}", to_string(stage));
}

std::vector<Seat> seats(const config::Pipeline& pipeline) {
  std::vector<Seat> all;
  for (Stage stage : kStages) {
    for (std::uint32_t i = 0; i < pool_size(pipeline, stage); ++i) all.push_back({stage, i});
  }
  return all;
}

std::string Layout::path(std::string_view name) const {
  return fmt::format("{}/e{}-{}", runtime_, epoch_, name);
}

std::vector<std::string> Layout::each(Stage stage, std::string_view what) const {
  std::vector<std::string> all;
  for (std::uint32_t i = 0; i < pool_size(pipeline_, stage); ++i) {
    all.push_back(endpoint(fmt::format("{}.{}", seat_name({stage, i}), what)));
  }
  return all;
}

void Layout::fill(proto::Welcome& welcome, const Seat& seat) const {
  welcome.epoch = epoch_;
  welcome.accepted.clear();
  welcome.credits.clear();
  welcome.credit_to.clear();
  welcome.outputs.clear();
  welcome.input = seat.stage == Stage::kReader   ? ""
                  : seat.stage == Stage::kWriter ? endpoint("writer.in")
                                                 : endpoint(seat_name(seat) + ".in");
  welcome.output_instances.clear();
  switch (seat.stage) {
    case Stage::kReader:
      welcome.outputs = each(Stage::kFilter, "in");
      welcome.credits = endpoint("reader.credits");
      welcome.accepted = endpoint("reader.accepted");
      break;
    case Stage::kFilter:
      welcome.credit_to = {endpoint("reader.credits")};
      if (pipeline_.has_processors()) {
        welcome.outputs = each(Stage::kProcessor, "in");
        welcome.credits = endpoint(seat_name(seat) + ".credits");
      } else {
        welcome.outputs = {endpoint("writer.in")};
      }
      break;
    case Stage::kProcessor:
      welcome.outputs = {endpoint("writer.in")};
      welcome.credit_to = each(Stage::kFilter, "credits");
      break;
    case Stage::kWriter:
      welcome.accepted = endpoint("reader.accepted");
      break;
  }
  for (std::size_t i = 0; i < welcome.outputs.size(); ++i) welcome.output_instances.push_back(i + 1);
}

std::string Layout::problem() const {
  std::size_t longest = path("reader.accepted").size();
  for (const Seat& seat : seats(pipeline_)) {
    longest = std::max(longest, path(seat_name(seat) + ".credits").size());
  }
  if (longest <= kMaxSocketPath) return {};
  return fmt::format(
      "the runtime folder {} makes socket paths of {} bytes and the system allows {}; choose a shorter "
      "folder with "
      "--runtime-dir",
      runtime_, longest, kMaxSocketPath);
}

}  // namespace leat::supervisor
