// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat::cli {

std::string human_bytes(std::uint64_t bytes);     // "512 B", "12.3 KiB", "190 MiB"
std::string human_count(double count);            // "950", "14.3 k", "1.23 M"
std::string exact_count(std::uint64_t count);     // "1,234,567"
std::string human_rate(double bytes_per_second);  // "640 MB/s", decimal megabytes
std::string human_clock(double seconds);          // "0:03", "1:02:03"
std::string human_time(std::int64_t unix_s);      // local: "2026-10-05 12:00:01"; "-" for 0
std::string percent(double part, double whole);   // "47.1 %"; "-" when whole is 0

// Columns the UTF-8 text takes on a terminal, or a little more: anything from U+1100 on counts as two.
std::size_t columns(std::string_view text);
// Text from elsewhere (paths, records, reasons) for a terminal: control characters, those of one byte and of two (U+0080 to
// U+009F), marks that turn the direction of writing, and bytes that are not UTF-8 become '?'.
std::string printable(std::string_view text);
// The same, but newlines stay.
std::string printable_lines(std::string_view text);
// The front of the text, at most that wide; "..." at its end when something is missing. Control characters
// become '?'.
std::string cut_to(std::string_view text, std::size_t width);

}  // namespace leat::cli
