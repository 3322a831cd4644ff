#include "daemon/supervisor/runtime_folder.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>

#include "tests/unit/folder.h"

using namespace leat::supervisor;
namespace fs = std::filesystem;

namespace {

struct TempRoot : leat::test::Folder {
  std::string path = root();
};

void make_folder(const std::string& path, const std::string& lock_text) {
  fs::create_directory(path);
  std::ofstream(path + "/lock") << lock_text;
  std::ofstream(path + "/reader-0.page") << "x";
}

}  // namespace

TEST_CASE("a run's folder is private and gone with the run") {
  TempRoot root;
  std::string path;
  {
    RuntimeFolder folder(root.path, "reviews", RuntimeFolder::Kind::kChosen);
    path = folder.path();
    CHECK(path == root.path + "/reviews-" + std::to_string(::getpid()));
    std::ofstream(path + "/control") << "x";
    CHECK((fs::status(path).permissions() & fs::perms::mask) == fs::perms::owner_all);
  }
  CHECK(fs::is_empty(root.path));
}

TEST_CASE("folders of dead runs are removed, a living run's is not") {
  TempRoot root;
  make_folder(root.path + "/reviews-1", "leat runtime folder\n");
  RuntimeFolder alive(root.path, "other", RuntimeFolder::Kind::kChosen);
  CHECK_FALSE(fs::exists(root.path + "/reviews-1"));
  make_folder(root.path + "/reviews-2", "leat runtime folder\n");
  RuntimeFolder third(root.path, "third", RuntimeFolder::Kind::kChosen);
  CHECK_FALSE(fs::exists(root.path + "/reviews-2"));
  CHECK(fs::exists(alive.path() + "/lock"));
}

TEST_CASE("a folder of somebody else's in the root is left alone") {
  TempRoot root;
  make_folder(root.path + "/photos-2019", "not ours");
  make_folder(root.path + "/photos", "leat runtime folder\n");
  RuntimeFolder other(root.path, "other", RuntimeFolder::Kind::kChosen);
  CHECK(fs::exists(root.path + "/photos-2019/reader-0.page"));
  CHECK(fs::exists(root.path + "/photos/reader-0.page"));
}

TEST_CASE("a symbolic link or an open folder in the place of the default root is refused") {
  TempRoot root;
  fs::create_directory_symlink(root.path, root.path + "/link");
  CHECK_THROWS_AS(RuntimeFolder(root.path + "/link", "reviews", RuntimeFolder::Kind::kDefault),
                  std::runtime_error);
  fs::create_directory(root.path + "/open");
  ::chmod((root.path + "/open").c_str(), 0755);
  CHECK_THROWS_AS(RuntimeFolder(root.path + "/open", "reviews", RuntimeFolder::Kind::kDefault),
                  std::runtime_error);
  CHECK_NOTHROW(RuntimeFolder(root.path + "/own", "reviews", RuntimeFolder::Kind::kDefault));
}

TEST_CASE("a fixed folder has the pipeline's name, and what a leatd that was killed has left in it is gone") {
  TempRoot root;
  {
    RuntimeFolder folder(root.path, "reviews", RuntimeFolder::Kind::kFixed);
    CHECK(folder.path() == root.path + "/reviews");
    CHECK_THROWS_AS(RuntimeFolder(root.path, "reviews", RuntimeFolder::Kind::kFixed), FolderError);
    fs::copy(folder.path(), root.path + "/left", fs::copy_options::recursive);
  }
  fs::rename(root.path + "/left", root.path + "/reviews");
  std::ofstream(root.path + "/reviews/reader-0.1.page") << "old";
  RuntimeFolder folder(root.path, "reviews", RuntimeFolder::Kind::kFixed);
  CHECK_FALSE(fs::exists(root.path + "/reviews/reader-0.1.page"));
}

TEST_CASE("a fixed folder is not made of somebody else's") {
  TempRoot root;
  fs::create_directories(root.path + "/reviews");
  std::ofstream(root.path + "/reviews/precious") << "bytes";
  CHECK_THROWS_AS(RuntimeFolder(root.path, "reviews", RuntimeFolder::Kind::kFixed), FolderError);
  CHECK(fs::exists(root.path + "/reviews/precious"));
}

TEST_CASE("a fixed folder does not wait for whoever has locked the root") {
  TempRoot root;
  int held = ::open(root.path.c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  auto made = std::async(std::launch::async, [&] {
    RuntimeFolder folder(root.path, "reviews", RuntimeFolder::Kind::kFixed);
    return fs::exists(folder.path() + "/lock");
  });
  CHECK(made.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
  ::close(held);
  CHECK(made.get());
}
