#include <doctest/doctest.h>

#include "config/pointer.h"
#include "config/text.h"
#include "config/units.h"

using namespace leat::config;
using std::chrono::milliseconds;

TEST_CASE("a pointer is split at slashes and its escapes are decoded") {
  const auto pointer = Pointer::parse("/a~1b/~0/ü/");
  REQUIRE(pointer);
  REQUIRE(pointer->tokens().size() == 4);
  CHECK(pointer->tokens()[0].key == "a/b");
  CHECK(pointer->tokens()[1].key == "~");
  CHECK(pointer->tokens()[2].key == "ü");
  CHECK(pointer->tokens()[3].key.empty());
  CHECK(pointer->text() == "/a~1b/~0/ü/");
}

TEST_CASE("the empty pointer is the whole document and \"/\" is the member with the empty name") {
  CHECK(Pointer::parse("")->empty());
  CHECK(Pointer::parse("/")->tokens().size() == 1);
}

TEST_CASE("only a number without leading zeros is an array index") {
  CHECK(Pointer::parse("/0")->tokens()[0].index == 0);
  CHECK(Pointer::parse("/10")->tokens()[0].index == 10);
  for (const char* text : {"/00", "/01", "/-1", "/+1", "/1a", "/", "/-", "/99999999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(Pointer::parse(text)->tokens()[0].index.has_value());
  }
}

TEST_CASE("a pointer that is none is refused with what to write") {
  CHECK(Pointer::parse("score").error().text ==
        "expected a JSON Pointer, which begins with '/', got \"score\" (did you mean \"/score\"?)");
  CHECK(Pointer::parse("/a~").error().text ==
        "in the JSON Pointer \"/a~\" a '~' is not followed by 0 or 1: write ~0 for '~', ~1 for '/'");
  CHECK_FALSE(Pointer::parse("/a~2"));
  CHECK_FALSE(Pointer::parse("/\xFF"));
}

TEST_CASE("pointers compare by what they mean, not by how they are written") {
  CHECK(*Pointer::parse("/a") == *Pointer::parse("/a"));
  CHECK_FALSE(*Pointer::parse("/a") == *Pointer::parse("/a/b"));
}

TEST_CASE("a long text is cut for a message, never within a character") {
  CHECK(in_quotes("a\nb") == "\"a\\nb\"");
  CHECK(in_quotes(std::string(59, 'a') + "ü") == "\"" + std::string(59, 'a') + "...\"");
}

TEST_CASE("the nearest name is suggested, a far one is not") {
  static constexpr std::string_view kNames[] = {"paths", "poll", "settle"};
  CHECK(did_you_mean("path", kNames) == " (did you mean \"paths\"?)");
  CHECK(did_you_mean("POLL", kNames) == " (did you mean \"poll\"?)");
  CHECK(did_you_mean("setlte", kNames) == " (did you mean \"settle\"?)");
  CHECK(did_you_mean("banana", kNames).empty());
  CHECK(did_you_mean("", kNames).empty());
  CHECK(did_you_mean(std::string(1000, 'p'), kNames).empty());
}

TEST_CASE("sizes take binary and decimal units and bare bytes") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("17B") == 17);
  CHECK(parse_size("3KiB") == 3072);
  CHECK(parse_size("3KB") == 3000);
  CHECK(parse_size("2MiB") == 2 << 20);
  CHECK(parse_size("2MB") == 2'000'000);
  CHECK(parse_size("1GiB") == 1 << 30);
  CHECK(parse_size("1GB") == 1'000'000'000);
  for (const char* text : {"", "B", "1 MiB", "1.5MiB", "-1", "1mib", "1M", "1TiB", "9223372036854775808",
                           "9999999999GiB", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_size(text));
  }
}

TEST_CASE("durations want a unit") {
  CHECK(parse_duration("250ms") == milliseconds(250));
  CHECK(parse_duration("2s") == milliseconds(2000));
  CHECK(parse_duration("5m") == milliseconds(300'000));
  CHECK(parse_duration("1h") == milliseconds(3'600'000));
  CHECK(parse_duration("2d") == milliseconds(172'800'000));
  for (const char* text : {"", "5", "s", "1.5s", "-1s", "5 s", "5sec", "99999999999d"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("sizes and durations are written as short as they can be") {
  CHECK(format_size(0) == "0B");
  CHECK(format_size(1000) == "1KB");
  CHECK(format_size(1024) == "1KiB");
  CHECK(format_size(64 << 20) == "64MiB");
  CHECK(format_size(1'500'000) == "1500KB");
  CHECK(format_duration(milliseconds(0)) == "0ms");
  CHECK(format_duration(milliseconds(1500)) == "1500ms");
  CHECK(format_duration(milliseconds(90'000)) == "90s");
  CHECK(format_duration(milliseconds(86'400'000)) == "1d");
}
