// Who takes part in a run, and who talks to whom where: the one place that lays out endpoints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/pipeline.h"
#include "proto/batch.h"
#include "proto/control.h"

namespace leat::supervisor {

// The longest path an ipc:// endpoint may have: sun_path holds 108 bytes with its NUL.
inline constexpr std::size_t kMaxSocketPath = 106;

struct Seat {
  proto::Stage stage = proto::Stage::kReader;
  std::uint32_t index = 0;  // in its pool, from 0
  bool operator==(const Seat&) const = default;
};

// "filter-0": the routing id on the control socket and the name of the page.
std::string seat_name(const Seat& seat);
std::optional<Seat> parse_seat(std::string_view name);
// "leat-filter"
std::string program_name(proto::Stage stage);

// In the order of the stages: reader, filters, processors (none without steps), writer.
std::vector<Seat> seats(const config::Pipeline& pipeline);

class Layout {
 public:
  // runtime: absolute path of the run's folder. The pipeline must outlive this.
  Layout(const config::Pipeline& pipeline, std::string runtime, std::uint64_t epoch)
      : pipeline_(pipeline), runtime_(std::move(runtime)), epoch_(epoch) {}

  std::string control() const { return "ipc://" + runtime_ + "/control"; }
  std::string page(const Seat& seat) const { return runtime_ + "/" + seat_name(seat) + ".page"; }

  // Sets the endpoints and the epoch of what a worker is told.
  void fill(proto::Welcome& welcome, const Seat& seat) const;

  // "" or what to do about a runtime folder whose name is too long for the sockets in it.
  std::string problem() const;

 private:
  std::string path(std::string_view name) const;
  std::string endpoint(std::string_view name) const { return "ipc://" + path(name); }
  std::vector<std::string> each(proto::Stage stage, std::string_view what) const;

  const config::Pipeline& pipeline_;
  std::string runtime_;
  std::uint64_t epoch_;
};

}  // namespace leat::supervisor
