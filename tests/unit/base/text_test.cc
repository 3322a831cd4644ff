#include "proto/base/text.h"

#include <doctest/doctest.h>

using namespace leat;

TEST_CASE("UTF-8 without surrogates, overlong forms and broken ends is valid") {
  for (const char* text : {"", "abc", "é", "\u20AC", "\U0001F600", "\xF4\x8F\xBF\xBF"}) CHECK(is_utf8(text));
  for (const char* text : {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                           "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3", "\xC3("}) {
    CHECK_FALSE(is_utf8(text));
  }
  CHECK(utf8_prefix("é\xFFx") == 2);
}

TEST_CASE("a JSON string escapes what it must and nothing else") {
  std::string out;
  append_quoted(out, std::string_view("a\"\\/\n\r\t\x1f\0ü", 11));
  CHECK(out == "\"a\\\"\\\\/\\n\\r\\t\\u001f\\u0000ü\"");
}

TEST_CASE("bad UTF-8 is found at its first byte") {
  CHECK(utf8_prefix("abc") == 3);
  CHECK(utf8_prefix("ab\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == 11);
  CHECK(utf8_prefix("ab\xc0\x80") == 2);
  CHECK(utf8_prefix("\xed\xa0\x80") == 0);
  CHECK(utf8_prefix("a\xf4\x90\x80\x80") == 1);
  CHECK(utf8_prefix("\xe2\x82") == 0);
}

TEST_CASE("a long text is looked at in steps of eight bytes, and no bad byte is stepped over") {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      CHECK(is_utf8(text));
      text[at] = '\xFF';
      CHECK(utf8_prefix(text) == at);
    }
  }
}

TEST_CASE("a code point is known by its bytes") {
  CHECK(utf8_point("") == 0);
  CHECK(utf8_point("\xC3(") == 0);
  CHECK(code_point("a") == 'a');
  CHECK(code_point("é") == 0xE9);
  CHECK(code_point("\u20AC") == 0x20AC);
  CHECK(code_point("\U0001F600") == 0x1F600);
}

TEST_CASE("text from elsewhere has nothing that a terminal acts on, and stays readable") {
  CHECK(printable("a\x1b[31mb\nc\td\r\x7f") == "a\\x1b[31mb\\nc\\td\\r\\x7f");
  CHECK(printable("\xC2\x9B"
                  "1m\xC2\x85") == "\\u009b1m\\u0085");
  CHECK(printable("a\xE2\x80\xAE"
                  "b\xE2\x81\xA6\xD8\x9C\xE2\x80\x8E\xE2\x80\xA8\xEF\xBB\xBF") ==
        "a\\u202eb\\u2066\\u061c\\u200e\\u2028\\ufeff");
  CHECK(printable("\xFF\xC3") == "\\xff\\xc3");
  CHECK(printable("\xED\xA0\x80") == "\\xed\\xa0\\x80");
  const std::string plain = "gr\xC3\xBC\xC3\x9F \"\xE6\x97\xA5\" \\ \xF0\x9F\x98\x80";
  CHECK(printable(plain) == plain);
  CHECK(printable_lines("a\x1b\nb\r\n") == "a\\x1b\nb\\r\n");
}

TEST_CASE("JSON for a terminal means what it meant") {
  CHECK(printable_json("{\"a\":\"\\u001b\xC2\x9B\xE2\x80\xAE\x7f gr\xC3\xBC\"}\n") ==
        "{\"a\":\"\\u001b\\u009b\\u202e\\u007f gr\xC3\xBC\"}\n");
}
