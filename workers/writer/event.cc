#include "workers/writer/event.h"

#include <rapidjson/document.h>

namespace leat::writer {

namespace {

using rapidjson::Value;

const Value* find(const Value& object, const char* key) {
  auto member = object.FindMember(key);
  return member == object.MemberEnd() ? nullptr : &member->value;
}

void read(const Value& object, const char* key, std::string& into) {
  const Value* value = find(object, key);
  if (value != nullptr && value->IsString()) into.assign(value->GetString(), value->GetStringLength());
}

void read(const Value& object, const char* key, bool& into) {
  const Value* value = find(object, key);
  if (value != nullptr && value->IsBool()) into = value->GetBool();
}

void read(const Value& object, const char* key, std::vector<std::uint64_t>& into) {
  const Value* value = find(object, key);
  if (value == nullptr || !value->IsArray()) return;
  for (const Value& item : value->GetArray()) {
    if (item.IsUint64()) into.push_back(item.GetUint64());
  }
}

std::uint64_t number(const Value& object, const char* key) {
  const Value* value = find(object, key);
  if (value == nullptr) return 0;
  if (value->IsUint64()) return value->GetUint64();
  return value->IsInt64() ? static_cast<std::uint64_t>(value->GetInt64()) : 0;  // a time before 1970
}

}  // namespace

Result<Event> decode_event(std::string_view json) {
  rapidjson::Document object;
  object.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (object.HasParseError() || !object.IsObject()) {
    return fail(Fault::kFatal, "an event is not a JSON object", kExitBug);
  }
  Event event;
  read(object, "path", event.path);
  read(object, "reason", event.reason);
  read(object, "from", event.from);
  read(object, "action", event.action);
  read(object, "to", event.to);
  read(object, "retry", event.retry);
  read(object, "stopped", event.stopped);
  if (find(object, "size") != nullptr) event.size = number(object, "size");
  if (find(object, "mtime_ns") != nullptr) {
    event.mtime_ns = static_cast<std::int64_t>(number(object, "mtime_ns"));
  }
  event.head_hash = number(object, "head_hash");
  event.head_bytes = static_cast<std::uint32_t>(number(object, "head_bytes"));
  event.done = number(object, "done");
  read(object, "absent", event.look.absent);
  read(object, "back", event.look.back);
  read(object, "whole", event.look.whole);
  read(object, "believed", event.look.believed);
  return event;
}

}  // namespace leat::writer
