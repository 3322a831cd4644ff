// The workers of a run and the endpoints between them: the one file that lays them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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

struct Slot {
  proto::Stage stage = proto::Stage::kReader;
  std::uint32_t index = 0;  // in its pool, from 0
  bool operator==(const Slot&) const = default;
};

// "filter-0"
std::string slot_name(const Slot& slot);
// "leat-filter"
std::string program_name(proto::Stage stage);

// In the order of the stages: reader, filters, so many processors (none without steps), writer.
std::vector<Slot> slots(const config::Pipeline& pipeline, int processors);

// "filter-0.7": the routing id of the seventh worker that this run started, at that slot; and the name of its page.
std::string worker_name(const Slot& slot, std::uint32_t instance);

class Layout {
 public:
  // Of the worker at a slot that may be dealt to; 0: none.
  using InstanceOf = std::function<std::uint32_t(const Slot&)>;

  // runtime: absolute path of the run's folder. generation: how often all were started. The pipeline must outlive
  // this.
  Layout(const config::Pipeline& pipeline, std::string runtime, std::uint32_t generation)
      : pipeline_(pipeline), runtime_(std::move(runtime)), generation_(generation) {}

  std::string control() const { return "ipc://" + runtime_ + "/control"; }
  std::string page(const Slot& slot, std::uint32_t instance) const {
    return runtime_ + "/" + worker_name(slot, instance) + ".page";
  }
  // Where a worker takes in batches: its own, so that nothing meant for its forerunner gets there. "" for the reader.
  std::string input(const Slot& slot, std::uint32_t instance) const;
  // The stage that deals to this one; nullopt: none does.
  std::optional<proto::Stage> dealer_of(proto::Stage stage) const;

  // Sets the endpoints in a worker's welcome. places: the processors' indexes are below that.
  void fill(proto::Welcome& welcome, const Slot& slot, std::uint32_t instance, std::uint32_t places,
            const InstanceOf& instance_of) const;

  // "" or what to do about a runtime folder whose name is too long for the sockets in it.
  std::string problem() const;

  // The path of the socket on which a worker is dealt to; empty: it has none.
  std::string socket(const Slot& slot, std::uint32_t instance) const;
  // Begins the names of all sockets of this generation in the runtime folder.
  std::string mark() const;

 private:
  std::string path(std::string_view name) const;
  std::string endpoint(std::string_view name) const { return "ipc://" + path(name); }

  const config::Pipeline& pipeline_;
  std::string runtime_;
  std::uint32_t generation_;
};

}  // namespace leat::supervisor
