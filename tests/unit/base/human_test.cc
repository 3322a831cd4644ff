#include "proto/base/human.h"

#include <doctest/doctest.h>

using namespace leat;

TEST_CASE("numbers are shown with three digits and a unit") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1536) == "1.50 KiB");
  CHECK(human_bytes(190ULL << 20) == "190 MiB");
  CHECK(human_bytes(1023ULL << 20) == "1.00 GiB");
  CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
  CHECK(human_count(999) == "999");
  CHECK(human_count(14'321) == "14.3 k");
  CHECK(human_count(999'800) == "1.00 M");
  CHECK(exact_count(0) == "0");
  CHECK(exact_count(999) == "999");
  CHECK(exact_count(1'234'567) == "1,234,567");
  CHECK(human_rate(640e6) == "640 MB/s");
  CHECK(human_clock(2.1) == "0:03");
  CHECK(human_clock(3723) == "1:02:03");
  CHECK(percent(1, 0) == "-");
}

TEST_CASE("text is cut between characters") {
  CHECK(cut_to("grün und mehr", 7) == "grün...");
  CHECK(cut_to("日本語", 6) == "日本語");
  CHECK(cut_to("日本語", 5) == "日...");
  CHECK(cut_to("\xC3", 10) == "\xC3");
  CHECK(cut_to("abc", 2) == "..");
}
