// Files that are on the disk when it is said so.
#pragma once

#include <string>
#include <string_view>

#include "proto/base/fd.h"
#include "proto/base/result.h"

namespace leat::replay {

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
  Fd fd_;
  int borrowed_ = -1;
  std::string buffer_;
};

[[nodiscard]] Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace leat::replay
