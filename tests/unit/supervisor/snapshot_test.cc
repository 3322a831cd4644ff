#include "daemon/supervisor/snapshot.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

using namespace leat;
using namespace leat::supervisor;

TEST_CASE("of what the reader has read, what the writer has not accepted is not done") {
  std::string folder = (std::filesystem::temp_directory_path() / "leat-snapshot-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  {
    auto page = stage::MappedPage::create(folder + "/reader.page");
    const auto done = [&](std::uint64_t disk, std::uint64_t sent, std::uint64_t accepted) {
      page->disk_bytes = disk;
      page->bytes_in = sent;
      page->bytes_out = accepted;
      Snapshot snapshot;
      add_page(snapshot, proto::Stage::kReader, page);
      return snapshot.disk_bytes;
    };
    CHECK(done(0, 0, 0) == 0);
    CHECK(done(1000, 1000, 750) == 750);
    CHECK(done(100, 1000, 750) == 75);  // compressed
    CHECK(done(1000, 1000, 0) == 0);
    CHECK(done(1000, 1000, 1000) == 1000);
    CHECK(done(1000, 0, 0) == 1000);  // all of it blank lines
  }
  std::filesystem::remove_all(folder);
}
