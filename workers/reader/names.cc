// A file that is found and should not be costs more than one that is missed: a snapshot folder brings every record once more
// for each snapshot, a backup of an editor each of its file twice. So what is known to be no data is left alone by wildcards,
// and whoever wants it says so.
//
// The names are those of Synology (#recycle, #snapshot, @eaDir, @tmp), QNAP (@Recycle, @Recently-Snapshot), Windows, macOS over
// SMB and ext4; rsync, Firefox, aria2, qBittorrent, Nautilus (.uploading), hadoop (._COPYING_), vim, emacs, Syncthing.
#include "workers/reader/names.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace leat::reader {

namespace {

constexpr std::array<std::string_view, 4> kUnfinished{".part", ".tmp", ".filepart", ".crdownload"};

constexpr std::array<std::string_view, 12> kFolders{"#recycle",        "#snapshot",
                                                    "@eadir",          "@tmp",
                                                    "@recycle",        "@recently-snapshot",
                                                    "$recycle.bin",    "system volume information",
                                                    "lost+found",      "network trash folder",
                                                    "temporary items", "__macosx"};

constexpr std::array<std::string_view, 21> kEndings{
    ".partial",   ".temp",      ".download", ".aria2",  ".!qb", ".!ut",     ".inprogress",
    ".uploading", "._copying_", ".swp",      ".swo",    "~",    ".bak",     ".orig",
    ".md5",       ".sha1",      ".sha256",   ".sha512", ".sfv", ".torrent", ".lock"};
constexpr std::array<std::string_view, 2> kNames{"thumbs.db", "desktop.ini"};

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

bool same(std::string_view lower_case, std::string_view name) {
  return std::ranges::equal(lower_case, name, {}, {}, lower);
}

bool ends_in(std::string_view name, std::string_view ending) {
  return name.size() > ending.size() && same(ending, name.substr(name.size() - ending.size()));
}

}  // namespace

bool is_unfinished_name(std::string_view name) {
  return name.starts_with('.') ||
         std::ranges::any_of(kUnfinished, [&](auto end) { return ends_in(name, end); });
}

bool is_system_folder(std::string_view name) {
  return name.starts_with('.') ||
         std::ranges::any_of(kFolders, [&](auto folder) { return same(folder, name); });
}

bool is_side_file(std::string_view name, std::string_view glob) {
  if (std::ranges::any_of(kNames, [&](auto known) { return same(known, name); })) return true;
  if (name.find(".sync-conflict-") != std::string_view::npos) return true;
  return std::ranges::any_of(kEndings, [&](auto end) { return ends_in(name, end) && !ends_in(glob, end); });
}

}  // namespace leat::reader
