#include "workers/stage/page.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

using namespace leat;
using namespace leat::stage;

namespace {

struct Folder {
  Folder() : path((std::filesystem::temp_directory_path() / "leat-page-XXXXXX").string()) {
    REQUIRE(::mkdtemp(path.data()) != nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace

TEST_CASE("a page's text is read as it was written, cut where it does not fit") {
  Folder folder;
  MappedPage page = MappedPage::create(folder.path + "/page");
  MappedPage other = MappedPage::open(folder.path + "/page");
  CHECK(other.text() == "");
  page.set_text("reading /in/a.jsonl");
  CHECK(other.text() == "reading /in/a.jsonl");
  page.set_text(std::string(600, 'x'));
  CHECK(other.text() == std::string(511, 'x'));
  page.set_text("");
  CHECK(other.text() == "");
}

// The first lock let a processor that reorders stores show half of a text; on x86-64 only the thread sanitizer saw it.
TEST_CASE("a text that is read while it changes is the old one or the new one, or none") {
  Folder folder;
  MappedPage page = MappedPage::create(folder.path + "/page");
  const std::string odd(300, 'a');
  const std::string even(200, 'b');
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) page.set_text(i % 2 == 0 ? even : odd);
    done = true;
  });
  MappedPage other = MappedPage::open(folder.path + "/page");
  int torn = 0;
  while (!done) {
    const std::string text = other.text();
    torn += !text.empty() && text != odd && text != even ? 1 : 0;
  }
  writer.join();
  CHECK(torn == 0);
  CHECK(other.text() == odd);
}
