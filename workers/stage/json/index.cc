#include "workers/stage/json/index.h"

#include <simdjson.h>

#include <algorithm>

namespace leat::json {

// simdjson's parsers are two stages; the first one is all that is wanted here. Its interface (stage1 and
// structural_indexes of dom_parser_implementation) is public in the header, and the run-time choice of the
// kernel (AVX2, NEON, ...) comes with it.
struct Index::Impl {
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  std::size_t capacity = 0;
};

namespace {
constexpr std::size_t kKeepUpTo = 1024 * 1024 + 64 * 1024;
}

Index::Index() : impl_(std::make_unique<Impl>()) {}
Index::~Index() = default;
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;

IndexFault Index::build(std::string_view text) {
  positions_ = {};
  if (impl_->capacity < text.size() || impl_->capacity == 0 ||
      (impl_->capacity > kKeepUpTo && text.size() <= kKeepUpTo)) {
    std::size_t wanted = std::max<std::size_t>(text.size(), 64 * 1024);
    impl_->parser.reset();
    impl_->capacity = 0;
    auto error =
        simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, impl_->parser);
    if (error != simdjson::SUCCESS) return IndexFault::kOther;
    impl_->capacity = wanted;
  }
  auto& parser = *impl_->parser;
  auto error = parser.stage1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(),
                             simdjson::stage1_mode::regular);
  switch (error) {
    case simdjson::SUCCESS:
      break;
    case simdjson::EMPTY:
      parser.n_structural_indexes = 0;
      break;
    case simdjson::UTF8_ERROR:
      return IndexFault::kUtf8;
    case simdjson::UNESCAPED_CHARS:
      return IndexFault::kControlCharacter;
    case simdjson::UNCLOSED_STRING:
      return IndexFault::kUnclosedString;
    default:
      return IndexFault::kOther;
  }
  parser.structural_indexes[parser.n_structural_indexes] = static_cast<std::uint32_t>(text.size());
  positions_ = {parser.structural_indexes.get(), parser.n_structural_indexes};
  return IndexFault::kNone;
}

}  // namespace leat::json
