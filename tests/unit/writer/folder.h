// A folder of a test's own, and reading back what was written there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace leat::test {

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string path(std::string_view name) const { return root_ + "/" + std::string(name); }
  const std::string& root() const { return root_; }
  std::vector<std::string> names() const;  // of all files below, relative, sorted

 private:
  std::string root_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);
bool exists(const std::string& path);

std::string unzstd(std::string_view frames);  // all frames; throws on damage
std::string ungzip(std::string_view members);

}  // namespace leat::test
