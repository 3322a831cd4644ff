// The schema for editors and the parser name the same keys.
#include <doctest/doctest.h>
#include <rapidjson/document.h>
#include <rapidjson/pointer.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "config/keys.h"

using namespace leat::config;

namespace {

rapidjson::Document schema() {
  std::ifstream file(LEAT_SOURCE_DIR "/config/pipeline.schema.json");
  std::stringstream text;
  text << file.rdbuf();
  rapidjson::Document document;
  document.Parse(text.str().c_str());
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

const rapidjson::Value& at(const rapidjson::Document& document, const std::string& pointer) {
  const rapidjson::Value* value = rapidjson::Pointer(pointer.c_str()).Get(document);
  REQUIRE_MESSAGE(value != nullptr, pointer);
  return *value;
}

std::set<std::string> strings(Names names) {
  return {names.begin(), names.end()};
}

std::set<std::string> strings(const rapidjson::Value& list) {
  std::set<std::string> out;
  for (const auto& item : list.GetArray()) {
    if (item.IsString()) out.insert(item.GetString());
  }
  return out;
}

// How many "properties" are in the schema, and whether each object with them is closed and its keys
// described.
int count_objects(const rapidjson::Value& value) {
  int count = 0;
  if (value.IsArray()) {
    for (const auto& item : value.GetArray()) count += count_objects(item);
  }
  if (!value.IsObject()) return count;
  for (const auto& member : value.GetObject()) {
    count += count_objects(member.value);
    if (std::string(member.name.GetString()) != "properties") continue;
    ++count;
    CHECK(value.HasMember("additionalProperties"));
    for (const auto& property : member.value.GetObject()) {
      CHECK_MESSAGE(property.value.HasMember("description"), property.name.GetString());
    }
  }
  return count;
}

}  // namespace

TEST_CASE("each table of keys is the same set as in the schema") {
  const rapidjson::Document document = schema();
  for (const KeyTable& table : keys::kAll) {
    CAPTURE(table.schema);
    std::set<std::string> properties;
    for (const auto& member : at(document, std::string(table.schema)).GetObject()) {
      properties.insert(member.name.GetString());
    }
    CHECK(properties == strings(table.keys));
  }
}

TEST_CASE("the schema has no object that the parser has no table for, closes all and describes every key") {
  CHECK(count_objects(schema()) == static_cast<int>(keys::kAll.size()));
}

TEST_CASE("named values are the same in the schema") {
  const rapidjson::Document document = schema();
  const auto enumerated = [&](const char* pointer) { return strings(at(document, pointer)); };
  CHECK(enumerated("/properties/source/properties/compression/enum") == strings(names::kCompressions));
  CHECK(enumerated("/properties/source/properties/after/oneOf/0/enum") == strings(names::kAfters));
  CHECK(enumerated("/properties/sink/properties/compression/enum") == strings(names::kCompressions));
  CHECK(enumerated("/definitions/predicate/properties/type/enum") == strings(names::kTypes));
  CHECK(enumerated("/definitions/step/properties/hash/properties/algorithm/enum") ==
        strings(names::kHashAlgorithms));
}

TEST_CASE("what is required is the same in the schema") {
  const rapidjson::Document document = schema();
  CHECK(strings(at(document, "/required")) == std::set<std::string>{"version", "name", "source", "sink"});
  CHECK(strings(at(document, "/properties/source/required")) == std::set<std::string>{"paths"});
  CHECK(strings(at(document, "/properties/sink/required")) == std::set<std::string>{"path"});
  CHECK(strings(at(document, "/properties/process/properties/workers/oneOf/2/required")) ==
        std::set<std::string>{"max"});
}
