#include "proto/source_event.h"

#include <optional>
#include <type_traits>

#include "proto/base/fields.h"

namespace leat::proto {

namespace {

template <class Event>
bool decode_as(BatchKind kind, std::string_view json, std::optional<Result<SourceEvent>>& into) {
  if (kind != Event::kKind) return false;
  auto event = decode_fields<Event>(json, "source event");
  if (event) {
    into.emplace(*std::move(event));
  } else {
    into.emplace(fail(Fault::kFatal, event.error().text, kExitBug));
  }
  return true;
}

template <class... Events>
Result<SourceEvent> decode_any(BatchKind kind, std::string_view json,
                               std::type_identity<std::variant<Events...>>) {
  std::optional<Result<SourceEvent>> event;
  if ((decode_as<Events>(kind, json, event) || ...)) return *std::move(event);
  return fail(Fault::kFatal, "source event: of an unknown kind", kExitBug);
}

}  // namespace

Buffer encode_payload(const SourceEvent& event) {
  std::string json = std::visit([](const auto& what) { return encode_fields(what); }, event);
  Buffer payload(json.size(), kHeaderBytes);
  payload.append(json.data(), json.size());
  return payload;
}

Result<SourceEvent> decode_source_event(BatchKind kind, std::string_view json) {
  return decode_any(kind, json, std::type_identity<SourceEvent>{});
}

}  // namespace leat::proto
