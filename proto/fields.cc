#include "proto/fields.h"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <limits>

namespace leat::proto {

using rapidjson::Value;

struct FieldWriter::Json {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};
};

FieldWriter::FieldWriter() : json_(std::make_unique<Json>()) {
  json_->writer.StartObject();
}
FieldWriter::~FieldWriter() = default;

void FieldWriter::operator()(const char* key, const std::string& value) {
  json_->writer.Key(key);
  json_->writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}
void FieldWriter::operator()(const char* key, bool value) {
  json_->writer.Key(key);
  json_->writer.Bool(value);
}
void FieldWriter::operator()(const char* key, std::uint64_t value) {
  json_->writer.Key(key);
  json_->writer.Uint64(value);
}
void FieldWriter::operator()(const char* key, std::int64_t value) {
  json_->writer.Key(key);
  json_->writer.Int64(value);
}
void FieldWriter::operator()(const char* key, const std::vector<std::uint64_t>& values) {
  json_->writer.Key(key);
  json_->writer.StartArray();
  for (std::uint64_t value : values) json_->writer.Uint64(value);
  json_->writer.EndArray();
}

std::string FieldWriter::finish() {
  json_->writer.EndObject();
  return {json_->buffer.GetString(), json_->buffer.GetSize()};
}

struct FieldReader::Json {
  // The member, and one more of them that was asked for; nullptr: it is not there.
  const Value* find(const char* key) {
    if (!is_object) return nullptr;
    auto member = std::as_const(document).FindMember(key);
    if (member == std::as_const(document).MemberEnd()) return nullptr;
    ++found;
    return &member->value;
  }
  rapidjson::Document document;
  bool is_object = false;
  rapidjson::SizeType found = 0;
  std::string bad;  // the first key
};

FieldReader::FieldReader(std::string_view json) : json_(std::make_unique<Json>()) {
  // Iterative: depth of hostile text must not become depth of the stack.
  json_->document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  json_->is_object = !json_->document.HasParseError() && json_->document.IsObject();
}
FieldReader::~FieldReader() = default;

void FieldReader::refuse(const char* key) {
  if (json_->bad.empty()) json_->bad = key;
}

void FieldReader::operator()(const char* key, std::string& value) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsString()) return refuse(key);
  value.assign(found->GetString(), found->GetStringLength());
}
void FieldReader::operator()(const char* key, bool& value) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsBool()) return refuse(key);
  value = found->GetBool();
}
void FieldReader::operator()(const char* key, std::uint64_t& value) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsUint64()) return refuse(key);
  value = found->GetUint64();
}
void FieldReader::operator()(const char* key, std::uint32_t& value) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsUint()) return refuse(key);
  value = found->GetUint();
}
void FieldReader::operator()(const char* key, std::int64_t& value) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsInt64()) return refuse(key);
  value = found->GetInt64();
}
void FieldReader::operator()(const char* key, std::vector<std::uint64_t>& values) {
  const Value* found = json_->find(key);
  if (found == nullptr || !found->IsArray()) return refuse(key);
  values.clear();
  for (const Value& item : found->GetArray()) {
    if (!item.IsUint64()) return refuse(key);
    values.push_back(item.GetUint64());
  }
}

std::string FieldReader::problem() const {
  if (!json_->is_object) return "expected a JSON object";
  if (!json_->bad.empty()) return fmt::format("'{}' is missing or of another type", json_->bad);
  if (json_->document.MemberCount() != json_->found) {
    return fmt::format("{} keys are expected, {} came", json_->found, json_->document.MemberCount());
  }
  return {};
}

}  // namespace leat::proto
