// Files that are on the disk when it is said so.
#pragma once

#include <string>
#include <string_view>

#include "proto/result.h"
#include "workers/stage/fd.h"

namespace leat::cli {

// kFatal, 74: "cannot ACTION PATH: why".
[[nodiscard]] tl::unexpected<Error> cannot(std::string_view action, const std::string& path, int error);

std::string folder_of(const std::string& path);
[[nodiscard]] Result<void> sync_folder(const std::string& folder);
[[nodiscard]] Result<void> rename_durably(const std::string& from, const std::string& to);

// Writes a file, buffered; on the disk after close().
class Out {
 public:
  explicit Out(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<void> open();
  // instead of open(): a file that is open already, for the life of this
  void take(int fd) { borrowed_ = fd; }
  [[nodiscard]] Result<void> add(std::string_view text);
  [[nodiscard]] Result<void> close();

 private:
  int fd() const { return borrowed_ >= 0 ? borrowed_ : fd_.get(); }
  Result<void> flush();

  std::string path_;
  stage::Fd fd_;
  int borrowed_ = -1;
  std::string buffer_;
};

[[nodiscard]] Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace leat::cli
