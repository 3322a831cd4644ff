// The only file that names zlib on the reading side.
#pragma once

#include <memory>
#include <string_view>

#include "workers/reader/byte_source.h"
#include "workers/reader/file.h"

namespace leat::reader {

// Do these first bytes (2 are enough) begin a gzip file?
bool is_gzip(std::string_view head);

// Decodes the members of `input`, the first of which starts at `start`. Zeros behind the last member are
// padding, as gzip(1) takes them. Refuses (kReject, with the offset in the file): other bytes behind a
// member, a truncated end, damage. What decodes before a fault is delivered first.
std::unique_ptr<ByteSource> make_gzip(InputWindow input, FrameMark start);

}  // namespace leat::reader
