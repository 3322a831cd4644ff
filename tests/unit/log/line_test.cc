#include "daemon/log/line.h"
#include "proto/base/text.h"

#include <doctest/doctest.h>

using namespace leat::log;

TEST_CASE("fields are key=value, in quotes only when they have to be") {
  const std::string path = "/mnt/nas/a b.jsonl";
  CHECK(fields_text({{"pipeline", "reviews"}, {"pid", 12}, {"for_s", 0.25}, {"own", true}}) ==
        "pipeline=reviews pid=12 for_s=0.25 own=true");
  CHECK(fields_text({{"path", path}, {"empty", ""}, {"pair", "a=b"}}) ==
        R"(path="/mnt/nas/a b.jsonl" empty="" pair="a=b")");
  CHECK(fields_text({{"most", ~std::uint64_t{0}}, {"least", std::int64_t{-5}}}) ==
        "most=18446744073709551615 least=-5");
  CHECK(fields_text({{"path", "/in/Übung.jsonl"}}) == "path=/in/Übung.jsonl");
  CHECK(fields_text({}).empty());
}

TEST_CASE("hostile text stays one value on one line") {
  CHECK(fields_text({{"a", "x\nERROR lost=1"}}) == R"(a="x\nERROR lost=1")");
  CHECK(fields_text({{"a", "\" b=\"1"}}) == R"(a="\" b=\"1")");
  CHECK(fields_text({{"a", "\\"}}) == R"(a="\\")");
  CHECK(escaped("\r\t\x1b[2J\x7f") == R"(\r\t\x1b[2J\x7f)");
  CHECK(escaped(std::string_view("a\0b", 3)) == R"(a\x00b)");
  CHECK(escaped("\xc2\x85|\xe2\x80\xae|\xe2\x80\xa8|\xe2\x81\xa6|\xef\xbb\xbf") ==
        R"(\u0085|\u202e|\u2028|\u2066|\ufeff)");
  CHECK(escaped("\xff\xc3|\xed\xa0\x80|\xf0\x9f\x98\x80") == "\\xff\\xc3|\\xed\\xa0\\x80|\xf0\x9f\x98\x80");
}

TEST_CASE("a value is cut at 1 KiB, never inside a character or an escape") {
  CHECK(escaped(std::string(1024, 'a')) == std::string(1024, 'a'));
  CHECK(escaped(std::string(1025, 'a')) == std::string(1021, 'a') + "...");
  CHECK(escaped(std::string(1'000'000, 'a')) == std::string(1021, 'a') + "...");
  std::string wide;
  for (int i = 0; i < 600; ++i) wide += "ä";
  CHECK(escaped(wide).size() == 1023);
  CHECK(leat::utf8_prefix(escaped(wide)) == 1023);
  const std::string escapes = escaped(std::string(600, '\n'));
  CHECK(escapes.size() == 1023);
  CHECK(escapes.ends_with("\\n..."));
  CHECK(escaped(std::string(256, '\xff')).size() == 1024);
}

TEST_CASE("a field is found by its key") {
  const std::string name = "reviews";
  CHECK(find({{"pid", 1}, {"pipeline", name}}, "pipeline") == "reviews");
  CHECK(find({{"pid", 1}}, "pipeline").empty());
}
