// For a struct that is read with decode_fields(): anything is one, or an error. What is one is written as it is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/base/fields.h"

namespace leat::test {

template <class T>
void fuzz_fields(const std::uint8_t* data, std::size_t size) {
  const auto value = decode_fields<T>(std::string_view(reinterpret_cast<const char*>(data), size), "input");
  if (!value) return;
  const std::string written = encode_fields(*value);
  const auto again = decode_fields<T>(written, "again");
  if (!again || encode_fields(*again) != written) std::abort();
}

}  // namespace leat::test
