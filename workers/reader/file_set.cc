#include "workers/reader/file_set.h"

#include <xxhash.h>

#include <algorithm>

namespace leat::reader {

FileSet::Key FileSet::key_of(std::string_view path, std::uint64_t size, std::int64_t mtime_ns) {
  const std::uint64_t state[] = {size, static_cast<std::uint64_t>(mtime_ns)};
  const XXH128_hash_t hash =
      XXH3_128bits_withSeed(path.data(), path.size(), XXH3_64bits(state, sizeof state));
  return {hash.high64, hash.low64};
}

bool FileSet::contains(std::string_view path, std::uint64_t size, std::int64_t mtime_ns) {
  if (sorted_ < keys_.size()) {
    const auto middle = keys_.begin() + static_cast<std::ptrdiff_t>(sorted_);
    std::sort(middle, keys_.end());
    std::inplace_merge(keys_.begin(), middle, keys_.end());
    sorted_ = keys_.size();
  }
  return std::binary_search(keys_.begin(), keys_.end(), key_of(path, size, mtime_ns));
}

}  // namespace leat::reader
