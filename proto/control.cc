#include "proto/control.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <array>
#include <optional>
#include <utility>

namespace leat::proto {

namespace {

using JsonWriter = rapidjson::Writer<rapidjson::StringBuffer>;
using rapidjson::Value;

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

void put(JsonWriter& json, std::string_view key, std::string_view text) {
  json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}
void put(JsonWriter& json, std::string_view key, std::uint64_t number) {
  json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  json.Uint64(number);
}
void put(JsonWriter& json, std::string_view key, const std::vector<std::string>& texts) {
  json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  json.StartArray();
  for (const auto& text : texts) json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  json.EndArray();
}
void put_bool(JsonWriter& json, std::string_view key, bool value) {
  json.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
  json.Bool(value);
}

void write(JsonWriter& json, const Hello& hello) {
  put(json, "type", "hello");
  put(json, "role", to_string(hello.role));
  put(json, "index", std::uint64_t{hello.index});
  put(json, "instance", std::uint64_t{hello.instance});
  put(json, "pid", static_cast<std::uint64_t>(hello.pid));
  put(json, "version", hello.version);
  put_bool(json, "joins", hello.joins);
}

void write(JsonWriter& json, const Welcome& welcome) {
  put(json, "type", "welcome");
  put(json, "epoch", welcome.epoch);
  put(json, "pipeline_file", welcome.pipeline_file);
  put(json, "pipeline_text", welcome.pipeline_text);
  put(json, "window_bytes", welcome.window_bytes);
  put(json, "window_batches", std::uint64_t{welcome.window_batches});
  put_bool(json, "force", welcome.force);
  put_bool(json, "follow", welcome.follow);
  put_bool(json, "daemon", welcome.daemon);
  put(json, "state", welcome.state);
  put(json, "run", welcome.run);
  put_bool(json, "volatile_state", welcome.volatile_state);
  put_bool(json, "fresh", welcome.fresh);
  put_bool(json, "accept_changes", welcome.accept_changes);
  put(json, "fingerprint", welcome.fingerprint);
  put(json, "reread", welcome.reread);
  put(json, "input", welcome.input);
  put(json, "credits", welcome.credits);
  put(json, "accepted", welcome.accepted);
  put(json, "outputs", welcome.outputs);
  json.Key("output_instances");
  json.StartArray();
  for (std::uint64_t instance : welcome.output_instances) json.Uint64(instance);
  json.EndArray();
  put(json, "credit_to", welcome.credit_to);
  put(json, "index", std::uint64_t{welcome.index});
  put(json, "instance", std::uint64_t{welcome.instance});
  put(json, "runtime", welcome.runtime);
}

void write(JsonWriter& json, const Stop& stop) {
  put(json, "type", "stop");
  for (const auto& [kind, name] : kStopNames) {
    if (kind == stop.kind) put(json, "kind", name);
  }
  put_bool(json, "rejoin", stop.rejoin);
}

void put_member(JsonWriter& json, std::string_view type, std::uint32_t index, std::uint32_t instance) {
  put(json, "type", type);
  put(json, "index", std::uint64_t{index});
  put(json, "instance", std::uint64_t{instance});
}

void write(JsonWriter& json, const MemberAdded& member) {
  put_member(json, "member_added", member.index, member.instance);
  put(json, "endpoint", member.endpoint);
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
  put(json, "type", "pause");
  put_bool(json, "on", pause.on);
}

void write(JsonWriter& json, const WindowSize& window) {
  put(json, "type", "window");
  put(json, "bytes", window.bytes);
  put(json, "batches", std::uint64_t{window.batches});
}

void write(JsonWriter& json, const Refusal& refusal) {
  put(json, "type", "refusal");
  put(json, "text", refusal.text);
}

void write(JsonWriter& json, const GiveUp& give_up) {
  put(json, "type", "give_up");
  put(json, "text", give_up.text);
}

void write(JsonWriter& json, const Resend& resend) {
  put(json, "type", "resend");
  put(json, "instance", std::uint64_t{resend.instance});
}

void write(JsonWriter& json, const Quarantine& record) {
  put(json, "type", "quarantine");
  put(json, "source", record.source);
  put(json, "offset", record.offset);
  put(json, "role", to_string(record.stage));
  put(json, "attempts", std::uint64_t{record.attempts});
  put(json, "reason", record.reason);
}

void write(JsonWriter& json, const Report& report) {
  put(json, "type", "report");
  for (const auto& [kind, name] : kReportNames) {
    if (kind == report.kind) put(json, "kind", name);
  }
  put(json, "exit_code", static_cast<std::uint64_t>(report.exit_code));
  put(json, "text", report.text);
  put(json, "details", report.details);
  put_bool(json, "retry", report.retry);
}

// Reads members of one JSON object; remembers the first that is missing or of another type.
class Members {
 public:
  explicit Members(const Value& object) : object_(object) {}

  std::string text(const char* key) {
    const Value* value = find(key, [](const Value& v) { return v.IsString(); });
    return value == nullptr ? std::string() : std::string(value->GetString(), value->GetStringLength());
  }
  std::uint64_t number(const char* key) {
    const Value* value = find(key, [](const Value& v) { return v.IsUint64(); });
    return value == nullptr ? 0 : value->GetUint64();
  }
  bool boolean(const char* key) {
    const Value* value = find(key, [](const Value& v) { return v.IsBool(); });
    return value != nullptr && value->GetBool();
  }
  std::vector<std::string> texts(const char* key) {
    std::vector<std::string> all;
    const Value* value = find(key, [](const Value& v) { return v.IsArray(); });
    if (value == nullptr) return all;
    for (const auto& item : value->GetArray()) {
      if (!item.IsString())
        bad_ = key;
      else
        all.emplace_back(item.GetString(), item.GetStringLength());
    }
    return all;
  }
  std::vector<std::uint64_t> numbers(const char* key) {
    std::vector<std::uint64_t> all;
    const Value* value = find(key, [](const Value& v) { return v.IsArray(); });
    if (value == nullptr) return all;
    for (const auto& item : value->GetArray()) {
      if (item.IsUint64()) {
        all.push_back(item.GetUint64());
      } else {
        bad_ = key;
      }
    }
    return all;
  }
  void refuse(const char* key) { bad_ = key; }
  const char* bad() const { return bad_; }

 private:
  template <class Check>
  const Value* find(const char* key, Check check) {
    auto member = object_.FindMember(key);
    if (member != object_.MemberEnd() && check(member->value)) return &member->value;
    if (bad_ == nullptr) bad_ = key;
    return nullptr;
  }
  const Value& object_;
  const char* bad_ = nullptr;
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
  rapidjson::StringBuffer buffer;
  JsonWriter json(buffer);
  json.StartObject();
  std::visit([&](const auto& message) { write(json, message); }, control);
  json.EndObject();
  return Message(std::string_view(buffer.GetString(), buffer.GetSize()));
}

Result<Control> decode_control(std::string_view message) {
  if (message.size() > kMaxControlBytes) {
    return fail(Fault::kReject,
                fmt::format("control: {} bytes are over the cap of {}", message.size(), kMaxControlBytes));
  }
  rapidjson::Document document;
  // Iterative: depth of hostile text must not become depth of the stack.
  document.Parse<rapidjson::kParseIterativeFlag>(message.data(), message.size());
  if (document.HasParseError() || !document.IsObject())
    return fail(Fault::kReject, "control: expected a JSON object");
  Members members(document);
  std::string type = members.text("type");
  auto control = read(type, members);
  if (!control) return fail(Fault::kReject, fmt::format("control: unknown type '{}'", type.substr(0, 40)));
  if (members.bad() != nullptr) {
    return fail(Fault::kReject,
                fmt::format("control: {}: '{}' is missing or of another type", type, members.bad()));
  }
  return *std::move(control);
}

}  // namespace leat::proto
