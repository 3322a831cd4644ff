// Globs over paths: what source.paths means, for `leat check` and for the reader alike.
//
//   *       any characters of one name, none included      ?      one character of a name
//   [a-z_]  one character out of a set; [!..] or [^..]: one that is not; ']' first is itself
//   **      as a whole name: any number of folders, zero included; at the end: everything below
//
// Nothing but ** crosses '/'. There is no escape: [*] is a literal star. A leading dot is not special.
// Characters are UTF-8 code points; a byte that is not UTF-8 counts as one character. Matching takes no
// longer than pattern times path, whatever the stars.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace leat::config {

bool glob_match(std::string_view pattern, std::string_view path);

// One name against one part of a pattern: neither holds a '/'. ** means * here.
bool glob_match_name(std::string_view pattern, std::string_view name);

// Does the text hold any of * ? [ ?
bool is_glob(std::string_view text);

// Is the path, or a folder that it is in below `root`, one of those that are excluded? A pattern with a '/' is a glob of whole
// paths, one without a name at any depth.
bool is_excluded(const std::vector<std::string>& exclude, std::string_view root, std::string_view path);

// Is it read: does one of the globs match it, and is it not excluded?
bool is_source(const std::vector<std::string>& globs, const std::vector<std::string>& exclude,
               std::string_view path);

// What is wrong with a pattern ("the [ has no ]"), or "".
std::string glob_problem(std::string_view pattern);

// The folder where a listing has to start: everything before the first name with a wildcard, without a slash
// at its end ("/in/**/x" -> "/in", "/*" -> "/"). For a pattern without wildcards, its folder.
std::string glob_root(std::string_view pattern);

// A path that the pattern matches: wildcards become "x", ** nothing.
std::string glob_example(std::string_view pattern);

// May a sink path have become this path: each of its placeholders stands for one byte or more.
bool sink_match(std::string_view sink_path, std::string_view path);

// One of the globs by which `output`, when it is made, would be read as a source, whatever links and bind mounts are in between;
// empty: none. Looks at their folders.
std::string reads_own_output(const std::vector<std::string>& globs, const std::string& output);

}  // namespace leat::config
