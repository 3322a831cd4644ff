#include "proto/control.h"

#include <fmt/format.h>

#include <optional>
#include <type_traits>

#include "proto/base/fields.h"

namespace leat::proto {

namespace {

template <class Kind>
bool read_as(const std::string& type, FieldReader& reader, std::optional<Control>& into) {
  if (type != Kind::kType) return false;
  Kind message;
  Kind::fields(reader, message);
  into = std::move(message);
  return true;
}

// nullopt: of no type that is known.
template <class... Kinds>
std::optional<Control> read(const std::string& type, FieldReader& reader,
                            std::type_identity<std::variant<Kinds...>> /*all*/) {
  std::optional<Control> control;
  static_cast<void>((read_as<Kinds>(type, reader, control) || ...));
  return control;
}

}  // namespace

Message encode(const Control& control) {
  JsonWriter json(JsonFor::kLeat);
  json.object([&] {
    std::visit(
        [&](const auto& message) {
          json.put("type", message.kType);
          put_fields(json, message);
        },
        control);
  });
  return Message(json.text());
}

// Keys that are not known are left alone: a hello of another release must be readable, to be refused for that.
Result<Control> decode_control(std::string_view message) {
  if (message.size() > kMaxControlBytes) {
    return fail(Fault::kReject,
                fmt::format("control: {} bytes are over the cap of {}", message.size(), kMaxControlBytes));
  }
  FieldReader reader(message);
  if (!reader.is_object()) return fail(Fault::kReject, "control: expected a JSON object");
  std::string type;
  reader("type", type);
  auto control = read(type, reader, std::type_identity<Control>{});
  if (!control) return fail(Fault::kReject, fmt::format("control: unknown type '{}'", type.substr(0, 40)));
  if (!reader.bad_key().empty()) {
    return fail(Fault::kReject,
                fmt::format("control: {}: '{}' is missing or of another type", type, reader.bad_key()));
  }
  return *std::move(control);
}

}  // namespace leat::proto
