#include "proto/base/base64.h"

#include <doctest/doctest.h>

using namespace leat;

TEST_CASE("base64 goes there and back for every length") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(from_base64(to_base64(bytes)) == bytes);
    bytes += static_cast<char>(i * 7);
  }
  CHECK(to_base64("foob") == "Zm9vYg==");
  for (const char* bad : {"Zg", "Zg=", "Z===", "Zm9v*===", "Zg==Zg=="}) CHECK_FALSE(from_base64(bad));
}
