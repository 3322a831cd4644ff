// A Pipeline as data, in which it travels from the process that has read and checked its file to the workers: encode_fields()
// and decode_fields() of proto/base/fields.h, with the names of the enumerations as they stand in keys.h. What is decoded is
// what was encoded, and of the right types; whether it is a pipeline that makes sense was checked before.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "config/keys.h"
#include "config/pipeline.h"
#include "proto/base/fields.h"

namespace leat::config {

// names: in the order of the enumerators.
template <class Enum, std::size_t kCount>
constexpr auto in_order(const std::string_view (&names)[kCount]) {
  std::array<std::pair<Enum, std::string_view>, kCount> pairs;
  for (std::size_t i = 0; i < kCount; ++i) pairs[i] = {static_cast<Enum>(i), names[i]};
  return pairs;
}
constexpr auto names_of(Compression) {
  return in_order<Compression>(names::kCompressions);
}
constexpr auto names_of(Literal::Type) {
  return in_order<Literal::Type>(names::kLiterals);
}
constexpr auto names_of(Predicate::Op) {
  return in_order<Predicate::Op>(names::kOperators);
}
constexpr auto names_of(HashAlgorithm) {
  return in_order<HashAlgorithm>(names::kHashAlgorithms);
}
constexpr auto names_of(Step::Op) {
  return in_order<Step::Op>(names::kStep);
}

}  // namespace leat::config
