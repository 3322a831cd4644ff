// Names that a wildcard leaves alone: what a NAS or a file system keeps for itself, and what tools write beside data.
#pragma once

#include <string_view>

namespace leat::reader {

// The names of files that somebody is still writing: .*  *.part  *.tmp  *.filepart  *.crdownload. Never read, not even when
// they are written out.
bool is_unfinished_name(std::string_view name);

// Folders that hold deleted files, snapshots or thumbnails: #recycle, @eaDir, "System Volume Information" and so on, and those
// that begin with a dot. Read when they are written out.
bool is_system_folder(std::string_view name);

// What else downloads, uploads, editors, checksums and synchronisation leave beside data. Read when it is written out, or
// when the glob names the ending itself: "*.bak".
bool is_side_file(std::string_view name, std::string_view glob);

}  // namespace leat::reader
