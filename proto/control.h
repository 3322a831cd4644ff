// What the supervisor and its workers say to each other: JSON over DEALER (worker) and ROUTER (supervisor).
//
//   worker                     supervisor
//   hello   ------------------>             identity: role, index, instance, pid, version
//           <------------------ welcome     the endpoints, and what is for its role
//           <------------------ stop        leave now, finish the record at hand, or drain
//           <------------------ member_added, member_draining, member_removed   (dealers) a worker of the pool
//           <------------------ resend      (reader) send again what a dead worker held, or everything
//           <------------------ quarantine  (reader) a record has killed too often: it is a dead letter
//           <------------------ pause       (reader) send nothing new, or continue
//           <------------------ window      (reader) another size, as the pool has another size
//           <------------------ give_up     (reader) nothing moves any more: fail, and say at what
//           <------------------ refusal     (one that wants to join) why it cannot
//   report  ------------------>             a warning, a failure that ends the run, the end of the work, a wish to leave, nothing at hand
//   member_drained ----------->             (dealers) every credit of a draining worker has come back
//
// PROTOCOL.md names every key. Unknown keys are ignored, unknown types refused; messages are capped at
// kMaxControlBytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "proto/base/result.h"
#include "proto/batch.h"
#include "proto/channel.h"

namespace leat::proto {

inline constexpr std::size_t kMaxControlBytes = 4 * 1024 * 1024;

struct Hello {
  static constexpr const char* kType = "hello";
  Stage role = Stage::kReader;
  std::uint32_t index = 0;     // among the workers of its stage, from 0
  std::uint32_t instance = 0;  // which worker of this run, from 1: one that replaces another is another
  std::int64_t pid = 0;
  std::string version;  // of the programs: all must be of one release
  bool joins = false;   // not started by this supervisor: it asks for a slot; index and instance mean nothing
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("role", self.role, "index", self.index, "instance", self.instance, "pid", self.pid, "version",
            self.version, "joins", self.joins);
  }
};

// What this worker needs beyond its briefing (descriptors.h), which is the same for all.
struct Welcome {
  static constexpr const char* kType = "welcome";

  struct Reader {
    std::uint64_t window_bytes = 0;
    std::uint32_t window_batches = 0;
    std::string accepted;  // where it binds its PULL for accepted positions
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("window_bytes", self.window_bytes, "window_batches", self.window_batches, "accepted",
              self.accepted);
    }
  };
  struct Writer {
    std::uint32_t window_batches = 0;
    std::string accepted;         // where it connects its PUSH for accepted positions
    std::string run;              // names this run, whatever is started again in it
    bool force = false;           // replace outputs that exist
    bool fresh = false;           // once a run: forget all sources and outputs
    bool accept_changes = false;  // once a run: resume although filter, steps or sink are not what they were
    std::uint64_t fingerprint = 0;    // of filter, steps and sink (config/fingerprint.h)
    std::vector<std::string> reread;  // once a run: sources to start over
    template <class Archive, class Self>
    static void fields(Archive& archive, Self& self) {
      archive("window_batches", self.window_batches, "accepted", self.accepted, "run", self.run, "force",
              self.force);
      archive("fresh", self.fresh, "accept_changes", self.accept_changes, "fingerprint", self.fingerprint,
              "reread", self.reread);
    }
  };

  std::uint64_t epoch = 0;
  std::uint64_t briefing = 0;  // its digest: of another one nothing here holds
  std::uint32_t index = 0;     // for a worker that joins: what others get when they are started
  std::uint32_t instance = 0;
  std::string input;                 // where this worker binds its PULL for batches; empty for the reader
  std::vector<std::string> outputs;  // the inputs of the next stage, by index; empty for the writer
  std::vector<std::uint64_t> output_instances;  // their workers; 0: none yet (member_added will come)
  std::string credits;  // where this worker binds its PULL for credits; empty: it deals to no pool
  // credits of the stage before, by Header::dealt_by; empty: none are wanted
  std::vector<std::string> credit_to;
  std::optional<Reader> reader;  // of its role only
  std::optional<Writer> writer;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("epoch", self.epoch, "briefing", self.briefing, "index", self.index, "instance", self.instance);
    archive("input", self.input, "outputs", self.outputs, "output_instances", self.output_instances);
    archive("credits", self.credits, "credit_to", self.credit_to, "reader", self.reader, "writer",
            self.writer);
  }
};

// Explicit values, never renumbered; on the wire by name.
enum class StopKind : std::uint8_t {
  kNow = 1,  // leave
  // the record at hand is finished, the rest is let go; then report kFinished (writer: kDone) and stay
  kFinish = 2,
  // the reader finishes what is in the window; a processor leaves when its last results are taken
  kDrain = 3,
};

struct Stop {
  static constexpr const char* kType = "stop";
  StopKind kind = StopKind::kDrain;
  bool rejoin = false;  // to a worker that joined: join again when there is something to join
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("kind", self.kind, "rejoin", self.rejoin);
  }
};

// A member is a worker of the pool that the receiver deals to: an instance at an index.
struct MemberAdded {
  static constexpr const char* kType = "member_added";
  std::uint32_t index = 0;
  std::uint32_t instance = 0;
  std::string endpoint;  // of its input
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("index", self.index, "instance", self.instance, "endpoint", self.endpoint);
  }
};

// Deal it nothing more, and answer with MemberDrained when every credit has come back.
struct MemberDraining {
  static constexpr const char* kType = "member_draining";
  std::uint32_t index = 0;
  std::uint32_t instance = 0;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("index", self.index, "instance", self.instance);
  }
};

// It has died, or left: what its socket still held comes again.
struct MemberRemoved {
  static constexpr const char* kType = "member_removed";
  std::uint32_t index = 0;
  std::uint32_t instance = 0;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("index", self.index, "instance", self.instance);
  }
};

struct MemberDrained {
  static constexpr const char* kType = "member_drained";
  std::uint32_t index = 0;
  std::uint32_t instance = 0;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("index", self.index, "instance", self.instance);
  }
};

struct Pause {
  static constexpr const char* kType = "pause";
  bool on = false;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("on", self.on);
  }
};

struct WindowSize {
  static constexpr const char* kType = "window";
  std::uint64_t bytes = 0;
  std::uint32_t batches = 0;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("bytes", self.bytes, "batches", self.batches);
  }
};

struct Refusal {
  static constexpr const char* kType = "refusal";
  std::string text;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("text", self.text);
  }
};

struct Resend {
  static constexpr const char* kType = "resend";
  std::uint32_t instance = 0;  // 0: everything that is not accepted
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("instance", self.instance);
  }
};

struct GiveUp {
  static constexpr const char* kType = "give_up";
  std::string text;  // why
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("text", self.text);
  }
};

// Identity of the record is source and offset. It is removed from its batch, which is sent again with a reject in its
// place.
struct Quarantine {
  static constexpr const char* kType = "quarantine";
  std::uint64_t source = 0;
  std::uint64_t offset = 0;
  Stage stage = Stage::kProcessor;
  std::uint32_t attempts = 0;
  std::string reason;
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("source", self.source, "offset", self.offset, "role", self.stage, "attempts", self.attempts,
            "reason", self.reason);
  }
};

// Explicit values, never renumbered; on the wire by name.
enum class ReportKind : std::uint8_t {
  kReady = 1,
  kWarning = 2,
  kFailed = 3,
  kDone = 4,
  kLeave = 5,
  kFinished = 6,  // after StopKind::kFinish: nothing is at hand any more
};

struct Report {
  static constexpr const char* kType = "report";
  ReportKind kind = ReportKind::kWarning;
  int exit_code = 0;    // kFailed
  std::string text;     // kWarning, kFailed: for a person
  std::string details;  // kDone, kReady: one JSON object, or empty
  bool retry = false;   // kFailed: it may pass; restart what depends on it
  template <class Archive, class Self>
  static void fields(Archive& archive, Self& self) {
    archive("kind", self.kind, "exit_code", self.exit_code, "text", self.text, "details", self.details,
            "retry", self.retry);
  }
};

constexpr auto names_of(Stage) {
  return std::to_array<std::pair<Stage, std::string_view>>({{Stage::kReader, "reader"},
                                                            {Stage::kFilter, "filter"},
                                                            {Stage::kProcessor, "processor"},
                                                            {Stage::kWriter, "writer"}});
}
constexpr auto names_of(StopKind) {
  return std::to_array<std::pair<StopKind, std::string_view>>(
      {{StopKind::kNow, "now"}, {StopKind::kFinish, "finish"}, {StopKind::kDrain, "drain"}});
}
constexpr auto names_of(ReportKind) {
  return std::to_array<std::pair<ReportKind, std::string_view>>({{ReportKind::kReady, "ready"},
                                                                 {ReportKind::kWarning, "warning"},
                                                                 {ReportKind::kFailed, "failed"},
                                                                 {ReportKind::kDone, "done"},
                                                                 {ReportKind::kLeave, "leave"},
                                                                 {ReportKind::kFinished, "finished"}});
}

using Control = std::variant<Hello, Welcome, Stop, MemberAdded, MemberDraining, MemberRemoved, MemberDrained,
                             Resend, Quarantine, Report, Pause, WindowSize, Refusal, GiveUp>;

Message encode(const Control& control);
[[nodiscard]] Result<Control> decode_control(std::string_view message);

}  // namespace leat::proto
