#include "proto/base/json.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace leat;

namespace {

JsonDocument parsed(std::string_view text) {
  auto document = JsonDocument::parse(text);
  REQUIRE(document);
  return *std::move(document);
}

}  // namespace

TEST_CASE("what is written is read back") {
  JsonWriter json(JsonFor::kLeat);
  json.object([&] {
    json.put("text", "a\"\n\u20AC");
    json.put("most", std::numeric_limits<std::uint64_t>::max());
    json.put("least", std::numeric_limits<std::int64_t>::min());
    json.put("real", 0.25);
    json.put("yes", true);
    json.put_all("list", std::vector<std::uint32_t>{1, 2});
    json.object("inner", [&] { json.put("small", 7); });
    json.array("mixed", [&] {
      json.item("x");
      json.object([] {});
    });
  });
  CHECK(json.text() ==
        "{\"text\":\"a\\\"\\n\u20AC\",\"most\":18446744073709551615,\"least\":-9223372036854775808,\"real\":"
        "0.25,"
        "\"yes\":true,\"list\":[1,2],\"inner\":{\"small\":7},\"mixed\":[\"x\",{}]}");
  const JsonDocument document = parsed(json.text());
  const JsonValue root = document.root();
  CHECK(root.text("text") == "a\"\n\u20AC");
  CHECK(root.number("most") == std::numeric_limits<std::uint64_t>::max());
  CHECK(root["least"].as_signed() == std::numeric_limits<std::int64_t>::min());
  CHECK(root.real("real") == 0.25);
  CHECK(root.is_true("yes"));
  CHECK(root["list"].size() == 2);
  CHECK(root["list"][1].as_number() == 2);
  CHECK(root["inner"].number("small") == 7);
  CHECK(root["mixed"].to_json() == "[\"x\",{}]");
  std::uint64_t sum = 0;
  root["list"].each([&](const JsonValue& item) { sum += item.as_number().value_or(0); });
  CHECK(sum == 3);
}

TEST_CASE("our own processes get the bytes of a name, people get text that a terminal does not act on") {
  for (const JsonFor reader : {JsonFor::kLeat, JsonFor::kPeople}) {
    JsonWriter json(reader);
    json.object([&] { json.put("path", "/\xFF\xE2\x80\xAE"); });
    CHECK(json.text() == (reader == JsonFor::kLeat ? "{\"path\":\"/\xFF\xE2\x80\xAE\"}"
                                                   : "{\"path\":\"/\uFFFD\uFFFD\uFFFD\uFFFD\"}"));
  }
  JsonWriter json;
  json.object([&] { json.put("path", "/\u202E\x7F"); });
  CHECK(json.text() == R"({"path":"/\u202e\u007f"})");
}

TEST_CASE("what is not there, or of another type, is nothing") {
  const JsonDocument document = parsed(R"({"a":"1","n":-1,"b":null,"o":{},"twice":1,"twice":2})");
  const JsonValue root = document.root();
  CHECK_FALSE(root["x"]);
  CHECK_FALSE(root["x"]["y"][3].as_text());
  CHECK(root["b"]);
  CHECK_FALSE(root["a"].as_number());
  CHECK_FALSE(root["n"].as_number());
  CHECK(root["n"].as_signed() == -1);
  CHECK_FALSE(root["a"].as_bool());
  CHECK(root.text("n").empty());
  CHECK(root.number("a") == 0);
  CHECK_FALSE(root.is_true("o"));
  CHECK(root["o"].size() == 0);
  CHECK(root.number("twice") == 1);
  CHECK(JsonValue().to_json().empty());
}

TEST_CASE("what is no JSON is refused, however deep it is") {
  CHECK(JsonDocument::parse("{\"a\":1} x").error().text == "wrong at byte 8");
  CHECK_FALSE(JsonDocument::parse(""));
  CHECK_FALSE(JsonDocument::parse(std::string(1'000'000, '[')));
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  CHECK(JsonDocument::parse(deep));
  CHECK_FALSE(parse_json_object("[]"));
  CHECK_FALSE(parse_json_object("{"));
  CHECK(parse_json_object(" {} "));
}
