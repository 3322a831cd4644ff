#include "config/glob.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>

#include <chrono>

using namespace leat::config;

namespace {
struct Case {
  const char* pattern;
  const char* path;
};
}  // namespace

TEST_CASE("globs that match") {
  for (const Case& c : {Case{"/in/*.jsonl", "/in/a.jsonl"},
                        {"/in/*.jsonl", "/in/.jsonl"},
                        {"/in/*", "/in/a"},
                        {"/in/a?c", "/in/abc"},
                        {"/in/a?c", "/in/aüc"},
                        {"/in/[a-c]x", "/in/bx"},
                        {"/in/[!a-c]x", "/in/dx"},
                        {"/in/[^a-c]x", "/in/üx"},
                        {"/in/[]]", "/in/]"},
                        {"/in/[a-]", "/in/-"},
                        {"/in/[*]", "/in/*"},
                        {"/in/[ä-ü]", "/in/ö"},
                        {"/in/a*b*c", "/in/aXbYbZc"},
                        {"/in/*a*a*a", "/in/aaa"},
                        {"/in/**/*.jsonl", "/in/a.jsonl"},
                        {"/in/**/*.jsonl", "/in/x/y/a.jsonl"},
                        {"/in/**", "/in/x/y"},
                        {"/**/x", "/x"},
                        {"/in/**/b/**/c", "/in/b/b/x/c"},
                        {"/in/**/a/b", "/in/a/a/b"},
                        {"/in/a**b", "/in/a--b"},
                        {"/in/?", "/in/\xFF"},
                        {"/in/a", "/in/a"}}) {
    CAPTURE(c.pattern);
    CAPTURE(c.path);
    CHECK(glob_match(c.pattern, c.path));
  }
}

TEST_CASE("globs that do not match") {
  for (const Case& c : {Case{"/in/*.jsonl", "/in/x/a.jsonl"},
                        {"/in/*.jsonl", "/in/a.jsonl.zst"},
                        {"/in/?", "/in/"},
                        {"/in/a?c", "/in/a/c"},
                        {"/in/[a-c]x", "/in/dx"},
                        {"/in/[!a-c]x", "/in/bx"},
                        {"/in/[a/b]", "/in/a"},
                        {"/in/**", "/in"},
                        {"/in/**", "/in/"},
                        {"/in/**/a/b", "/in/a/x/b"},
                        {"/in/**x", "/in/a/x"},
                        {"/in/*", "/in"},
                        {"/in/*a", "/in/ab"},
                        {"/in/a", "/in/a/b"},
                        {"/in/a/b", "/in/a"},
                        {"/in/a", "/in/A"},
                        {"", "/in"}}) {
    CAPTURE(c.pattern);
    CAPTURE(c.path);
    CHECK_FALSE(glob_match(c.pattern, c.path));
  }
}

TEST_CASE("many stars cost pattern times path, not more") {
  std::string stars = "/";
  std::string folders;
  for (int i = 0; i < 50; ++i) {
    stars += "*a";
    folders += "/**/a";
  }
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "/a";
  const auto start = std::chrono::steady_clock::now();
  CHECK_FALSE(glob_match(stars, "/" + std::string(2000, 'a') + "b"));
  CHECK_FALSE(glob_match(folders, deep + "/b"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("an open set is a problem") {
  CHECK(glob_problem("/in/[a-c]*").empty());
  CHECK(glob_problem("/in/[a").find("a [ has no ]") != std::string::npos);
  CHECK_FALSE(glob_problem("/in/[]").empty());
  CHECK_FALSE(glob_problem("/in/[a/b]").empty());
}

TEST_CASE("a listing starts at the folder before the first wildcard") {
  CHECK(glob_root("/in/**/x") == "/in");
  CHECK(glob_root("/in/a*/x") == "/in");
  CHECK(glob_root("/*") == "/");
  CHECK(glob_root("/in/b/a.jsonl") == "/in/b");
  CHECK(glob_root("*.jsonl") == ".");
  CHECK(is_glob("/in/?"));
  CHECK_FALSE(is_glob("/in/a.jsonl"));
}

TEST_CASE("an example of a glob matches it") {
  for (const char* pattern : {"/in/*.jsonl", "/in/**/a?[x-z]*", "/in/**", "/in/[!a-c]", "/in/[]a]",
                              "/in/**/**/b", "/in/[ä]x", "/in/a"}) {
    CAPTURE(pattern);
    CHECK(glob_match(pattern, glob_example(pattern)));
  }
}

TEST_CASE("an output that a glob would read is found, whatever links lead there") {
  std::string root = std::filesystem::temp_directory_path() / "leat-glob-XXXXXX";
  REQUIRE(::mkdtemp(root.data()) != nullptr);
  std::filesystem::create_directories(root + "/in/b");
  std::filesystem::create_directory_symlink("in/b", root + "/out");
  CHECK(reads_own_output({"/nowhere/*", root + "/in/**/*.jsonl"}, root + "/out/a.jsonl") ==
        root + "/in/**/*.jsonl");
  CHECK(reads_own_output({root + "/in/*.jsonl"}, root + "/out/a.jsonl").empty());
  std::filesystem::remove_all(root);
}
