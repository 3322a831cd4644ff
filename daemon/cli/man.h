// The man pages of leat, which are in the program: a small Debian has no man. They are put in by CMake (man_pages.cc).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace leat::cli {

struct ManPage {
  std::string_view name;  // "leat", "leat-pipeline"
  std::string_view text;  // roff
};
std::span<const ManPage> man_pages();

// For `leat help SUBJECT`: a page by its name ("pipeline" is leat-pipeline), or what leat(1) says about a command ("run", "dead
// show"), as text of at most `width` columns. nullopt: there is none.
std::optional<std::string> help_about(std::string_view subject, std::size_t width);

// The part of roff that the pages use: macros of man(7) for headings, paragraphs, tags, examples and fonts. Fonts are not shown.
std::string render_man(std::string_view roff, std::size_t width);

}  // namespace leat::cli
