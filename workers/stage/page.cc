#include "workers/stage/page.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <utility>

#include "proto/base/fd.h"

namespace leat::stage {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kPageBytes = 4096;
static_assert(sizeof(Page) <= kPageBytes);

Page* map(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd || ((flags & O_CREAT) != 0 && ::ftruncate(fd.get(), kPageBytes) != 0)) {
    throw std::system_error(errno, std::generic_category(), path);
  }
  void* memory = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), path);
  return static_cast<Page*>(memory);
}

}  // namespace

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

MappedPage MappedPage::create(const std::string& path) {
  Page* page = map(path, O_CREAT | O_EXCL);
  page->pid = static_cast<std::uint64_t>(::getpid());
  page->version = kVersion;
  page->activity_since_ns = monotonic_ns();
  page->magic = Page::kMagic;
  return MappedPage(page);
}

MappedPage MappedPage::open(const std::string& path) {
  Page* page = map(path, 0);
  return MappedPage(page);
}

MappedPage::MappedPage(MappedPage&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}

MappedPage::~MappedPage() {
  if (page_ != nullptr) ::munmap(page_, kPageBytes);
}

void MappedPage::enter(Activity activity) {
  auto before = page_->activity.load(std::memory_order_relaxed);
  if (before == static_cast<std::uint32_t>(activity)) return;
  std::uint64_t now = monotonic_ns();
  add(page_->activity_ns[before], now - page_->activity_since_ns.load(std::memory_order_relaxed));
  page_->activity_since_ns.store(now, std::memory_order_relaxed);
  page_->activity.store(static_cast<std::uint32_t>(activity), std::memory_order_relaxed);
}

// A sequence lock. A process that reads a byte (acquire) that was written (release) after the version became odd sees that it did:
// on a processor that reorders stores (ARM) too, which plain bytes between two versions would allow.
void MappedPage::set_text(std::string_view text) {
  std::size_t size = std::min(text.size(), page_->text.size() - 1);
  auto version = page_->text_version.load(std::memory_order_relaxed);
  page_->text_version.store(version + 1, std::memory_order_relaxed);
  for (std::size_t i = 0; i < size; ++i) page_->text[i].store(text[i], std::memory_order_release);
  page_->text[size].store('\0', std::memory_order_release);
  page_->text_version.store(version + 2, std::memory_order_release);
}

std::string MappedPage::text() const {
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto before = page_->text_version.load(std::memory_order_acquire);
    std::string copy;
    for (const std::atomic<char>& each : page_->text) {
      char byte = each.load(std::memory_order_acquire);
      if (byte == '\0') break;
      copy += byte;
    }
    if (before % 2 == 0 && page_->text_version.load(std::memory_order_relaxed) == before) return copy;
  }
  return {};
}

}  // namespace leat::stage
