#include "workers/reader/listing.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <string>

#include "config/glob.h"
#include "tests/unit/reader/files.h"

using namespace leat::reader;
using leat::reader::test::TempFolder;
using leat::reader::test::Unprivileged;

namespace {

Listing list_paths(const std::vector<std::string>& globs,
                   const std::function<bool(const File&)>& leave_out = nullptr,
                   const std::vector<std::string>& exclude = {}) {
  leat::config::Source source;
  source.paths = globs;
  source.exclude = exclude;
  return list_files(source, leave_out);
}

// The paths below the folder, one a line.
std::string files(const TempFolder& folder, const std::vector<std::string>& globs,
                  const std::vector<std::string>& exclude = {}) {
  std::vector<std::string> absolute;
  for (const std::string& glob : globs) absolute.push_back(folder / glob);
  std::string out;
  for (const File& file : list_paths(absolute, nullptr, exclude).files) {
    if (!out.empty()) out += ' ';
    out += file.path.substr((folder / "").size());
  }
  return out;
}

std::string reason(const Listing& listing, const std::string& path) {
  for (const Skipped& skipped : listing.skipped) {
    if (skipped.path == path) return skipped.reason;
  }
  return "";
}

}  // namespace

TEST_CASE("files come in byte order of their paths, each once, with size and time") {
  TempFolder folder;
  for (const char* name : {"b.jsonl", "a.jsonl", "B.jsonl", "a-1.jsonl", "\xC3\xA4.jsonl", "a/x.jsonl"}) {
    folder.write(name, "12345");
  }
  CHECK(files(folder, {"*.jsonl", "a*", "**/*.jsonl", "a.jsonl"}) ==
        "B.jsonl a-1.jsonl a.jsonl a/x.jsonl b.jsonl \xC3\xA4.jsonl");
  struct stat found;
  REQUIRE(::stat((folder / "a.jsonl").c_str(), &found) == 0);
  const Listing listing = list_paths({folder / "a.jsonl", folder / "b.jsonl"});
  CHECK(listing.files[0].size == 5);
  CHECK(listing.files[0].inode == found.st_ino);
  CHECK(listing.files[0].mtime_ns / 1'000'000'000 == found.st_mtim.tv_sec);
  CHECK(listing.files[0].mtime_ns % 1'000'000'000 == found.st_mtim.tv_nsec);
  CHECK(listing.total_bytes == 10);
}

TEST_CASE("two stars cross folders, also none; one star does not") {
  TempFolder folder;
  for (const char* name : {"x.jsonl", "a/x.jsonl", "a/b/x.jsonl", "a/b/c/x.jsonl", "a/b/y.txt"})
    folder.write(name, "");
  CHECK(files(folder, {"**/*.jsonl"}) == "a/b/c/x.jsonl a/b/x.jsonl a/x.jsonl x.jsonl");
  CHECK(files(folder, {"*/*.jsonl"}) == "a/x.jsonl");
  CHECK(files(folder, {"a/**/c/*.jsonl"}) == "a/b/c/x.jsonl");
  CHECK(files(folder, {"**/b/**/x.jsonl"}) == "a/b/c/x.jsonl a/b/x.jsonl");
  CHECK(files(folder, {"**/**/x.jsonl"}) == "a/b/c/x.jsonl a/b/x.jsonl a/x.jsonl x.jsonl");
  CHECK(files(folder, {"a/b/**"}) == "a/b/c/x.jsonl a/b/x.jsonl a/b/y.txt");
  CHECK(files(folder, {"a//b/./x.jsonl"}) == "a/b/./x.jsonl");
}

TEST_CASE("sets and question marks mean what they do in config/glob.h") {
  TempFolder folder;
  for (const char* name : {"1.l", "2.l", "12.l", "[.l", "*.l"}) folder.write(name, "");
  CHECK(files(folder, {"?.l"}) == "*.l 1.l 2.l [.l");
  CHECK(files(folder, {"[0-9].l"}) == "1.l 2.l");
  CHECK(files(folder, {"[*].l"}) == "*.l");
}

TEST_CASE("a folder that is both named and found is listed once, by all globs") {
  TempFolder folder;
  folder.write("a/1.l", "");
  folder.write("a/2.m", "");
  folder.write("b/3.l", "");
  CHECK(files(folder, {"a/*.m", "*/*.l"}) == "a/1.l a/2.m b/3.l");
  folder.folder("a/4.l");
  CHECK(list_paths({folder / "a/*.m", folder / "*/*.l"}).skipped.size() == 1);
}

TEST_CASE("names of unfinished files and hidden names are skipped") {
  TempFolder folder;
  for (const char* name : {"a.jsonl", ".a.jsonl", "a.jsonl.part", "b.tmp", "c.filepart", "d.crdownload",
                           ".nfs0001", ".snapshot/old.jsonl", "part", "a.part.jsonl"}) {
    folder.write(name, "");
  }
  CHECK(files(folder, {"**/*"}) == "a.jsonl a.part.jsonl part");
  CHECK(files(folder, {".snapshot/*"}) == ".snapshot/old.jsonl");
  const Listing listing = list_paths({folder / "b.tmp"});
  CHECK(listing.files.empty());
  CHECK(reason(listing, folder / "b.tmp") == "the name of an unfinished file");
}

TEST_CASE("wildcards do not enter the NAS's own folders; what is written out is read") {
  TempFolder folder;
  for (const char* own : {"#recycle", "#snapshot", "@eaDir", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN",
                          "System Volume Information", "lost+found", ".snapshot", "a/#recycle", "a/@eaDir"}) {
    folder.write(std::string(own) + "/old.l", "");
  }
  for (const char* name : {"a/1.l", "recycle/2.l", "#tags/3.l", "lost and found/4.l"}) folder.write(name, "");
  CHECK(files(folder, {"**/*.l"}) == "#tags/3.l a/1.l lost and found/4.l recycle/2.l");
  CHECK(files(folder, {"*/*.l"}) == "#tags/3.l a/1.l lost and found/4.l recycle/2.l");
  CHECK(files(folder, {"#recycle/*.l", "a/@eaDir/old.l"}) == "#recycle/old.l a/@eaDir/old.l");
}

TEST_CASE("wildcards take no side files, unless the glob has their ending") {
  TempFolder folder;
  for (const char* name : {"a.l",
                           "a.l.partial",
                           "b.TMP",
                           "c.l.download",
                           "d.l.aria2",
                           "e.l.!qB",
                           "f.l.inprogress",
                           "g.l.uploading",
                           "h.l._COPYING_",
                           "i.l.temp",
                           "j.l.swp",
                           "k.l~",
                           "l.l.bak",
                           "m.sync-conflict-20260101-X.l",
                           "Thumbs.db",
                           "desktop.ini",
                           "a.l.md5",
                           "a.l.sha256",
                           "~n.l",
                           "bak.l"}) {
    folder.write(name, "");
  }
  CHECK(files(folder, {"*"}) == "a.l bak.l ~n.l");
  CHECK(files(folder, {"**/*"}) == "a.l bak.l ~n.l");
  CHECK(files(folder, {"*.bak", "k.l~", "Thumbs.db"}) == "Thumbs.db k.l~ l.l.bak");
  CHECK(files(folder, {"*.TMP"}).empty());
}

TEST_CASE("what is excluded is not read: by its path, by a folder it is in, or by a name at any depth") {
  TempFolder folder;
  for (const char* name : {"a.l", "bad-1.l", "tmp/b.l", "x/tmp/c.l", "x/d.l", "x/y/e.l", "x/y/bad-2.l"})
    folder.write(name, "");
  CHECK(files(folder, {"**/*.l"}, {"bad-*", "tmp"}) == "a.l x/d.l x/y/e.l");
  CHECK(files(folder, {"**/*.l"}, {folder / "x/y"}) == "a.l bad-1.l tmp/b.l x/d.l x/tmp/c.l");
  CHECK(files(folder, {"**/*.l"}, {folder / "**/y/*.l", folder / "bad-1.l"}) ==
        "a.l tmp/b.l x/d.l x/tmp/c.l");
  CHECK(files(folder, {"x/tmp/*.l", "bad-1.l"}, {"tmp", "x"}) == "bad-1.l x/tmp/c.l");
  CHECK(files(folder, {"bad-1.l", "*/y/*.l"}, {"bad-*", "y"}).empty());
  CHECK(leat::config::is_source({folder / "**/*.l"}, {"tmp"}, folder / "x/y/e.l"));
  CHECK_FALSE(leat::config::is_source({folder / "**/*.l"}, {"tmp"}, folder / "x/tmp/c.l"));
}

TEST_CASE("a name with brackets that is there, and that its own text does not match, is said") {
  TempFolder folder;
  folder.write("a[1].l", "");
  const Listing listing = list_paths({folder / "a[1].l"});
  CHECK(listing.files.empty());
  CHECK(reason(listing, folder / "a[1].l") == "a glob, whose [ ] stand for one character; write [[] for a [");
  CHECK(files(folder, {"a[[]1].l"}) == "a[1].l");
}

TEST_CASE("a path without wildcards that does not exist is told") {
  TempFolder folder;
  folder.write("file", "");
  const Listing listing = list_paths({folder / "a.jsonl", folder / "no/b.jsonl", folder / "file/c.jsonl"});
  CHECK(reason(listing, folder / "a.jsonl") == "no such file");
  CHECK(reason(listing, folder / "no/b.jsonl") == "no such file");
  CHECK(reason(listing, folder / "file/c.jsonl") == "no such file");
  CHECK(listing.fault == "");
}

TEST_CASE("a wildcard that finds nothing is no fault, the folder it is in missing is one") {
  TempFolder folder;
  CHECK(list_paths({folder / "*.jsonl"}).skipped.empty());
  CHECK(reason(list_paths({folder / "no/*.jsonl"}), folder / "no") == "no such folder");
}

TEST_CASE("a folder, a socket and a pipe that match are told and skipped") {
  TempFolder folder;
  folder.folder("a.jsonl");
  REQUIRE(::mkfifo((folder / "b.jsonl").c_str(), 0600) == 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "c.jsonl").c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::close(fd);
  const Listing listing = list_paths({folder / "*.jsonl"});
  CHECK(listing.files.empty());
  CHECK(reason(listing, folder / "a.jsonl") == "a folder, not a file");
  CHECK(reason(listing, folder / "b.jsonl") == "not a regular file");
  CHECK(reason(listing, folder / "c.jsonl") == "not a regular file");
}

TEST_CASE("links to files are followed, links to nothing and to themselves are told") {
  TempFolder folder;
  folder.write("real", "12345");
  std::filesystem::create_symlink("real", folder / "a.jsonl");
  std::filesystem::create_symlink("gone", folder / "b.jsonl");
  std::filesystem::create_symlink("c.jsonl", folder / "c.jsonl");
  const Listing listing = list_paths({folder / "*.jsonl"});
  REQUIRE(listing.files.size() == 1);
  CHECK(listing.files[0].path == folder / "a.jsonl");
  CHECK(listing.files[0].size == 5);
  CHECK(reason(listing, folder / "b.jsonl") == "a link to nothing");
  CHECK(reason(listing, folder / "c.jsonl") == "cannot stat it: Too many levels of symbolic links");
}

TEST_CASE("links to folders are followed, but not in a circle") {
  TempFolder folder;
  TempFolder elsewhere;
  elsewhere.write("e.l", "");
  folder.write("a/b/x.l", "");
  std::filesystem::create_directory_symlink(elsewhere / "", folder / "a/else");
  std::filesystem::create_directory_symlink("..", folder / "a/b/up");
  std::filesystem::create_directory_symlink("/", folder / "a/b/root");
  const Listing listing = list_paths({folder / "**/*.l"});
  CHECK(files(folder, {"**/*.l"}) == "a/b/x.l a/else/e.l");
  CHECK(reason(listing, folder / "a/b/up") == "a link back to a folder it is in");
  CHECK(reason(listing, folder / "a/b/root") == "a link back to a folder it is in");
}

TEST_CASE("a folder that may not be listed is told, and a file named in it is still found") {
  TempFolder folder;
  folder.write("closed/a.l", "");
  folder.write("open/b.l", "");
  struct Closed {  // to its owner as well; open again for who removes it
    explicit Closed(std::string folder) : path(std::move(folder)) { ::chmod(path.c_str(), 0311); }
    ~Closed() { ::chmod(path.c_str(), 0755); }
    std::string path;
  } closed(folder / "closed");
  Unprivileged while_here;
  const Listing listing = list_paths({folder / "*/*.l", folder / "closed/a.l"});
  CHECK(files(folder, {"*/*.l", "closed/a.l"}) == "closed/a.l open/b.l");
  CHECK(reason(listing, folder / "closed") == "cannot list the folder: Permission denied");
  CHECK(listing.fault == "");
}

TEST_CASE("a deep tree is no danger") {
  TempFolder folder;
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  folder.write(deep + "x.l", "");
  CHECK(files(folder, {"**/**/**/*.l"}) == deep + "x.l");
}

TEST_CASE("what a listing leaves out is counted once, however often it is named") {
  TempFolder folder;
  folder.write("a", "1\n");
  folder.write("b", "2\n");
  const std::vector<std::string> globs = {folder / "a", folder / "*", folder / "a", folder / "b*"};
  const Listing listing = list_paths(globs, [](const File& file) { return file.path.ends_with("/a"); });
  CHECK(listing.left_out == 1);
  REQUIRE(listing.files.size() == 1);
  CHECK(listing.files[0].path == folder / "b");
  CHECK(list_paths(globs).files.size() == 2);
}
