#include "proto/base/json.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <utility>

#include "proto/base/text.h"

namespace leat {

namespace {

using rapidjson::SizeType;
using rapidjson::Value;

// Byte by byte is enough: such text is rare, and only has to stay readable.
std::string with_replacements(std::string_view text) {
  std::string valid;
  for (const char byte : text) {
    if (static_cast<unsigned char>(byte) < 0x80) {
      valid += byte;
    } else {
      valid += "\xEF\xBF\xBD";
    }
  }
  return valid;
}

const Value& value_of(const void* node) {
  return *static_cast<const Value*>(node);
}

}  // namespace

struct JsonWriter::Parts {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};
};

JsonWriter::JsonWriter(JsonFor reader) : reader_(reader), parts_(std::make_unique<Parts>()) {}
JsonWriter::~JsonWriter() = default;

void JsonWriter::item(std::string_view value) {
  if (reader_ == JsonFor::kPeople && !is_utf8(value)) return item(with_replacements(value));
  parts_->writer.String(value.data(), static_cast<SizeType>(value.size()));
}

void JsonWriter::item(double value) {
  parts_->writer.Double(value);
}
void JsonWriter::item(bool value) {
  parts_->writer.Bool(value);
}
void JsonWriter::null() {
  parts_->writer.Null();
}
void JsonWriter::number(std::uint64_t value) {
  parts_->writer.Uint64(value);
}
void JsonWriter::signed_number(std::int64_t value) {
  parts_->writer.Int64(value);
}
void JsonWriter::key(std::string_view name) {
  parts_->writer.Key(name.data(), static_cast<SizeType>(name.size()));
}
void JsonWriter::begin(char bracket) {
  bracket == '{' ? parts_->writer.StartObject() : parts_->writer.StartArray();
}
void JsonWriter::end(char bracket) {
  bracket == '}' ? parts_->writer.EndObject() : parts_->writer.EndArray();
}

std::string JsonWriter::text() const {
  const std::string_view text{parts_->buffer.GetString(), parts_->buffer.GetSize()};
  return reader_ == JsonFor::kPeople ? printable_json(text) : std::string(text);
}

std::optional<std::string_view> JsonValue::as_text() const {
  if (node_ == nullptr || !value_of(node_).IsString()) return std::nullopt;
  return std::string_view{value_of(node_).GetString(), value_of(node_).GetStringLength()};
}
std::optional<std::uint64_t> JsonValue::as_number() const {
  if (node_ == nullptr || !value_of(node_).IsUint64()) return std::nullopt;
  return value_of(node_).GetUint64();
}
std::optional<std::int64_t> JsonValue::as_signed() const {
  if (node_ == nullptr || !value_of(node_).IsInt64()) return std::nullopt;
  return value_of(node_).GetInt64();
}
std::optional<double> JsonValue::as_real() const {
  if (node_ == nullptr || !value_of(node_).IsNumber()) return std::nullopt;
  return value_of(node_).GetDouble();
}
std::optional<bool> JsonValue::as_bool() const {
  if (node_ == nullptr || !value_of(node_).IsBool()) return std::nullopt;
  return value_of(node_).GetBool();
}
bool JsonValue::is_object() const {
  return node_ != nullptr && value_of(node_).IsObject();
}
bool JsonValue::is_array() const {
  return node_ != nullptr && value_of(node_).IsArray();
}
bool JsonValue::is_null() const {
  return node_ != nullptr && value_of(node_).IsNull();
}

JsonValue JsonValue::operator[](std::string_view name) const {
  if (!is_object()) return {};
  const Value key(rapidjson::StringRef(name.data(), static_cast<SizeType>(name.size())));
  const auto found = value_of(node_).FindMember(key);
  return found == value_of(node_).MemberEnd() ? JsonValue() : JsonValue(&found->value);
}

std::size_t JsonValue::members() const {
  return is_object() ? value_of(node_).MemberCount() : 0;
}
std::size_t JsonValue::size() const {
  return is_array() ? value_of(node_).Size() : 0;
}
JsonValue JsonValue::operator[](std::size_t index) const {
  return index < size() ? JsonValue(&value_of(node_)[static_cast<SizeType>(index)]) : JsonValue();
}

std::string JsonValue::to_json() const {
  if (node_ == nullptr) return {};
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value_of(node_).Accept(writer);
  return {buffer.GetString(), buffer.GetSize()};
}

struct JsonDocument::Parts {
  rapidjson::Document document;
};

JsonDocument::JsonDocument(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

Result<JsonDocument> JsonDocument::parse(std::string_view text) {
  auto parts = std::make_unique<Parts>();
  parts->document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (!parts->document.HasParseError()) return JsonDocument(std::move(parts));
  return fail(Fault::kReject, fmt::format("wrong at byte {}", parts->document.GetErrorOffset()));
}

JsonValue JsonDocument::root() const {
  return JsonValue(static_cast<const Value*>(&parts_->document));
}

std::optional<JsonDocument> parse_json_object(std::string_view text) {
  auto document = JsonDocument::parse(text);
  if (!document || !document->root().is_object()) return std::nullopt;
  return *std::move(document);
}

}  // namespace leat
