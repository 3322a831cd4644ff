#include "proto/control.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "proto/base/json.h"

namespace leat::proto {

namespace {

constexpr std::array<std::pair<ReportKind, std::string_view>, 6> kReportNames{
    {{ReportKind::kReady, "ready"},
     {ReportKind::kWarning, "warning"},
     {ReportKind::kFailed, "failed"},
     {ReportKind::kDone, "done"},
     {ReportKind::kLeave, "leave"},
     {ReportKind::kFinished, "finished"}}};
constexpr std::array<std::pair<StopKind, std::string_view>, 3> kStopNames{
    {{StopKind::kNow, "now"}, {StopKind::kFinish, "finish"}, {StopKind::kDrain, "drain"}}};
constexpr std::array kStages{Stage::kReader, Stage::kFilter, Stage::kProcessor, Stage::kWriter};

void write(JsonWriter& json, const Hello& hello) {
  json.put("type", "hello");
  json.put("role", to_string(hello.role));
  json.put("index", hello.index);
  json.put("instance", hello.instance);
  json.put("pid", static_cast<std::uint64_t>(hello.pid));
  json.put("version", hello.version);
  json.put("joins", hello.joins);
}

void write(JsonWriter& json, const Welcome& welcome) {
  json.put("type", "welcome");
  json.put("epoch", welcome.epoch);
  json.put("pipeline_file", welcome.pipeline_file);
  json.put("pipeline_text", welcome.pipeline_text);
  json.put("window_bytes", welcome.window_bytes);
  json.put("window_batches", welcome.window_batches);
  json.put("force", welcome.force);
  json.put("follow", welcome.follow);
  json.put("daemon", welcome.daemon);
  json.put("state", welcome.state);
  json.put("run", welcome.run);
  json.put("volatile_state", welcome.volatile_state);
  json.put("fresh", welcome.fresh);
  json.put("accept_changes", welcome.accept_changes);
  json.put("fingerprint", welcome.fingerprint);
  json.put_all("reread", welcome.reread);
  json.put("input", welcome.input);
  json.put("credits", welcome.credits);
  json.put("accepted", welcome.accepted);
  json.put_all("outputs", welcome.outputs);
  json.put_all("output_instances", welcome.output_instances);
  json.put_all("credit_to", welcome.credit_to);
  json.put("index", welcome.index);
  json.put("instance", welcome.instance);
  json.put("runtime", welcome.runtime);
}

void write(JsonWriter& json, const Stop& stop) {
  json.put("type", "stop");
  for (const auto& [kind, name] : kStopNames) {
    if (kind == stop.kind) json.put("kind", name);
  }
  json.put("rejoin", stop.rejoin);
}

void put_member(JsonWriter& json, std::string_view type, std::uint32_t index, std::uint32_t instance) {
  json.put("type", type);
  json.put("index", index);
  json.put("instance", instance);
}

void write(JsonWriter& json, const MemberAdded& member) {
  put_member(json, "member_added", member.index, member.instance);
  json.put("endpoint", member.endpoint);
}

void write(JsonWriter& json, const MemberDraining& member) {
  put_member(json, "member_draining", member.index, member.instance);
}

void write(JsonWriter& json, const MemberRemoved& member) {
  put_member(json, "member_removed", member.index, member.instance);
}

void write(JsonWriter& json, const MemberDrained& member) {
  put_member(json, "member_drained", member.index, member.instance);
}

void write(JsonWriter& json, const Pause& pause) {
  json.put("type", "pause");
  json.put("on", pause.on);
}

void write(JsonWriter& json, const WindowSize& window) {
  json.put("type", "window");
  json.put("bytes", window.bytes);
  json.put("batches", window.batches);
}

void write(JsonWriter& json, const Refusal& refusal) {
  json.put("type", "refusal");
  json.put("text", refusal.text);
}

void write(JsonWriter& json, const GiveUp& give_up) {
  json.put("type", "give_up");
  json.put("text", give_up.text);
}

void write(JsonWriter& json, const Resend& resend) {
  json.put("type", "resend");
  json.put("instance", resend.instance);
}

void write(JsonWriter& json, const Quarantine& record) {
  json.put("type", "quarantine");
  json.put("source", record.source);
  json.put("offset", record.offset);
  json.put("role", to_string(record.stage));
  json.put("attempts", record.attempts);
  json.put("reason", record.reason);
}

void write(JsonWriter& json, const Report& report) {
  json.put("type", "report");
  for (const auto& [kind, name] : kReportNames) {
    if (kind == report.kind) json.put("kind", name);
  }
  json.put("exit_code", static_cast<std::uint64_t>(report.exit_code));
  json.put("text", report.text);
  json.put("details", report.details);
  json.put("retry", report.retry);
}

// Reads members of one JSON object; remembers the first that is missing or of another type.
class Members {
 public:
  explicit Members(JsonValue object) : object_(object) {}

  std::string text(std::string_view key) { return std::string(get(key, &JsonValue::as_text)); }
  std::uint64_t number(std::string_view key) { return get(key, &JsonValue::as_number); }
  bool boolean(std::string_view key) { return get(key, &JsonValue::as_bool); }
  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> all;
    each(key, &JsonValue::as_text, [&](std::string_view text) { all.emplace_back(text); });
    return all;
  }
  std::vector<std::uint64_t> numbers(std::string_view key) {
    std::vector<std::uint64_t> all;
    each(key, &JsonValue::as_number, [&](std::uint64_t number) { all.push_back(number); });
    return all;
  }
  void refuse(std::string_view key) {
    if (bad_.empty()) bad_ = key;
  }
  std::string_view bad() const { return bad_; }

 private:
  template <class Value>
  Value get(std::string_view key, std::optional<Value> (JsonValue::*as)() const) {
    const std::optional<Value> value = (object_[key].*as)();
    if (!value) refuse(key);
    return value.value_or(Value());
  }
  template <class Value, class Take>
  void each(std::string_view key, std::optional<Value> (JsonValue::*as)() const, Take take) {
    if (!object_[key].is_array()) return refuse(key);
    object_[key].each([&](const JsonValue& item) {
      if (const std::optional<Value> value = (item.*as)()) return take(*value);
      refuse(key);
    });
  }

  JsonValue object_;
  std::string_view bad_;
};

Stage read_stage(Members& members) {
  std::string name = members.text("role");
  for (Stage stage : kStages) {
    if (to_string(stage) == name) return stage;
  }
  members.refuse("role");
  return Stage::kReader;
}

StopKind read_stop_kind(Members& members) {
  std::string name = members.text("kind");
  for (const auto& [kind, known] : kStopNames) {
    if (known == name) return kind;
  }
  members.refuse("kind");
  return StopKind::kNow;
}

template <class Member>
Member read_member(Members& members) {
  Member member;
  member.index = static_cast<std::uint32_t>(members.number("index"));
  member.instance = static_cast<std::uint32_t>(members.number("instance"));
  return member;
}

std::optional<Control> read(const std::string& type, Members& members) {
  if (type == "hello") {
    Hello hello;
    hello.role = read_stage(members);
    hello.index = static_cast<std::uint32_t>(members.number("index"));
    hello.instance = static_cast<std::uint32_t>(members.number("instance"));
    hello.pid = static_cast<std::int64_t>(members.number("pid"));
    hello.version = members.text("version");
    hello.joins = members.boolean("joins");
    return hello;
  }
  if (type == "welcome") {
    Welcome welcome;
    welcome.epoch = members.number("epoch");
    welcome.pipeline_file = members.text("pipeline_file");
    welcome.pipeline_text = members.text("pipeline_text");
    welcome.window_bytes = members.number("window_bytes");
    welcome.window_batches = static_cast<std::uint32_t>(members.number("window_batches"));
    welcome.force = members.boolean("force");
    welcome.follow = members.boolean("follow");
    welcome.daemon = members.boolean("daemon");
    welcome.state = members.text("state");
    welcome.run = members.text("run");
    welcome.volatile_state = members.boolean("volatile_state");
    welcome.fresh = members.boolean("fresh");
    welcome.accept_changes = members.boolean("accept_changes");
    welcome.fingerprint = members.number("fingerprint");
    welcome.reread = members.texts("reread");
    welcome.input = members.text("input");
    welcome.credits = members.text("credits");
    welcome.accepted = members.text("accepted");
    welcome.outputs = members.texts("outputs");
    welcome.output_instances = members.numbers("output_instances");
    welcome.credit_to = members.texts("credit_to");
    welcome.index = static_cast<std::uint32_t>(members.number("index"));
    welcome.instance = static_cast<std::uint32_t>(members.number("instance"));
    welcome.runtime = members.text("runtime");
    return welcome;
  }
  if (type == "stop") return Stop{read_stop_kind(members), members.boolean("rejoin")};
  if (type == "member_added") {
    auto member = read_member<MemberAdded>(members);
    member.endpoint = members.text("endpoint");
    return member;
  }
  if (type == "member_draining") return read_member<MemberDraining>(members);
  if (type == "member_removed") return read_member<MemberRemoved>(members);
  if (type == "member_drained") return read_member<MemberDrained>(members);
  if (type == "pause") return Pause{members.boolean("on")};
  if (type == "window") {
    return WindowSize{members.number("bytes"), static_cast<std::uint32_t>(members.number("batches"))};
  }
  if (type == "give_up") return GiveUp{members.text("text")};
  if (type == "refusal") return Refusal{members.text("text")};
  if (type == "resend") return Resend{static_cast<std::uint32_t>(members.number("instance"))};
  if (type == "quarantine") {
    Quarantine record;
    record.source = members.number("source");
    record.offset = members.number("offset");
    record.stage = read_stage(members);
    record.attempts = static_cast<std::uint32_t>(members.number("attempts"));
    record.reason = members.text("reason");
    return record;
  }
  if (type == "report") {
    Report report;
    std::string name = members.text("kind");
    bool known = false;
    for (const auto& [kind, text] : kReportNames) {
      if (text != name) continue;
      report.kind = kind;
      known = true;
    }
    if (!known) members.refuse("kind");
    report.exit_code = static_cast<int>(members.number("exit_code"));
    report.text = members.text("text");
    report.details = members.text("details");
    report.retry = members.boolean("retry");
    return report;
  }
  return std::nullopt;
}

}  // namespace

Message encode(const Control& control) {
  JsonWriter json(JsonFor::kLeat);
  json.object([&] { std::visit([&](const auto& message) { write(json, message); }, control); });
  return Message(json.text());
}

Result<Control> decode_control(std::string_view message) {
  if (message.size() > kMaxControlBytes) {
    return fail(Fault::kReject,
                fmt::format("control: {} bytes are over the cap of {}", message.size(), kMaxControlBytes));
  }
  const auto document = parse_json_object(message);
  if (!document) return fail(Fault::kReject, "control: expected a JSON object");
  Members members(document->root());
  std::string type = members.text("type");
  auto control = read(type, members);
  if (!control) return fail(Fault::kReject, fmt::format("control: unknown type '{}'", type.substr(0, 40)));
  if (!members.bad().empty()) {
    return fail(Fault::kReject,
                fmt::format("control: {}: '{}' is missing or of another type", type, members.bad()));
  }
  return *std::move(control);
}

}  // namespace leat::proto
