// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat {

std::string human_bytes(std::uint64_t bytes);                     // "512 B", "12.3 KiB", "190 MiB"
std::string human_count(double count);                            // "950", "14.3 k", "1.23 M"
std::string exact_count(std::uint64_t count);                     // "1,234,567"
std::string counted(std::uint64_t count, std::string_view noun);  // "1 file", "1,234 files"
std::string human_rate(double bytes_per_second);                  // "640 MB/s", decimal megabytes
std::string human_clock(double seconds);                          // "0:03", "1:02:03"
std::string human_time(std::int64_t unix_s);                      // local: "2026-10-05 12:00:01"; "-" for 0
std::string percent(double part, double whole);                   // "47.1 %"; "-" when whole is 0

// A reason that begins with the path it is about, without it, for where the path stands already.
std::string_view without_path(std::string_view reason, std::string_view path);

// Columns the UTF-8 text takes on a terminal, or a little more: anything from U+1100 on counts as two.
std::size_t columns(std::string_view text);

// The front of the text, at most that wide; "..." at its end when something is missing. Control characters
// become '?'.
std::string cut_to(std::string_view text, std::size_t width);

}  // namespace leat
