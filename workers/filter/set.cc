// The obvious unordered_set<string> takes 80 to 100 bytes a member beyond its text, which a machine that is
// short of RAM notices at a few million lines. Here the texts lie in one blob, and the tables hold 32-bit
// offsets into it, so that the overhead is 8 bytes, not 90. The blob is reserved at the size of the file
// before reading: untouched pages cost nothing, and it never moves, while growing by doubling would need
// three times its size for a moment.
#include "workers/filter/set.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace leat::filter {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

std::uint64_t hash_text(std::string_view text) {
  return XXH3_64bits(text.data(), text.size());
}

std::uint8_t tag_of(std::uint64_t hash) {
  return std::max<std::uint8_t>(static_cast<std::uint8_t>(hash), 1);
}

struct OpenFile {
  int descriptor;
  ~OpenFile() { ::close(descriptor); }
};

tl::unexpected<Error> fail_file(const std::string& path, const char* doing, int error, int exit_code) {
  return fail(Fault::kFatal, fmt::format("in_file {}: {}: {}", path, doing, std::strerror(error)), exit_code);
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t") == line.npos;
}

// Cuts what arrives in pieces into lines.
class LineSplitter {
 public:
  explicit LineSplitter(Set& set) : set_(set) {}

  bool push(std::string_view piece) {
    for (;;) {
      const std::size_t newline = piece.find('\n');
      if (newline == piece.npos) {
        partial_.append(piece);
        return true;
      }
      std::string_view line = piece.substr(0, newline);
      piece.remove_prefix(newline + 1);
      if (!partial_.empty()) {
        partial_.append(line);
        if (!take(partial_)) return false;
        partial_.clear();
      } else if (!take(line)) {
        return false;
      }
    }
  }
  bool finish() { return take(partial_); }

 private:
  bool take(std::string_view line) {
    if (first_ && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
    first_ = false;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return is_blank(line) || set_.add(line);
  }

  Set& set_;
  std::string partial_;
  bool first_ = true;
};

}  // namespace

Result<Set> Set::load(const std::string& path, std::uint64_t max_bytes) {
  const OpenFile file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.descriptor < 0) return fail_file(path, "cannot open it", errno, kExitConfig);
  struct stat status {};
  if (::fstat(file.descriptor, &status) != 0) return fail_file(path, "fstat failed", errno, kExitIo);
  if (S_ISDIR(status.st_mode)) return fail_file(path, "expected a file", EISDIR, kExitConfig);
  const auto too_large = [&] {
    return fail(Fault::kFatal,
                fmt::format("in_file {}: larger than the {} bytes a set may have", path, max_bytes),
                kExitConfig);
  };
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > max_bytes) return too_large();

  Set set;
  set.blob_.reserve(size + size / 64 +
                    kReadBytes);  // lengths take two bytes where a newline took one: rarely
  LineSplitter lines(set);
  std::string piece(kReadBytes, '\0');
  std::uint64_t total = 0;
  for (;;) {
    const ssize_t count = ::read(file.descriptor, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return fail_file(path, fmt::format("read failed at byte {}", total).c_str(), errno, kExitIo);
    if (count == 0) break;
    total += static_cast<std::uint64_t>(count);
    if (total > max_bytes || !lines.push({piece.data(), static_cast<std::size_t>(count)})) return too_large();
  }
  if (!lines.finish()) return too_large();
  set.seal();
  return set;
}

bool Set::add(std::string_view member) {
  if (blob_.size() + member.size() + 8 > UINT32_MAX) return false;
  std::size_t length = member.size();
  for (; length >= 0x80; length >>= 7) blob_.push_back(static_cast<char>(length | 0x80));
  blob_.push_back(static_cast<char>(length));
  blob_.append(member);
  ++added_;
  added_numbers_ += is_json_number(member);
  return true;
}

void Set::seal() {
  index_texts();
  if (added_numbers_ > 0) index_numbers();
}

Set::Member Set::member_at(std::size_t offset) const {
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(blob_[offset++]);
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return {std::string_view(blob_).substr(offset, length), offset + length};
}

void Set::index_texts() {
  texts_.make_room(added_);
  std::size_t end = 0;  // members up to here are different from each other
  for (std::size_t offset = 0; offset < blob_.size();) {
    const Member member = member_at(offset);
    const std::uint64_t hash = hash_text(member.text);
    const std::size_t slot =
        texts_.find(hash, [&](std::size_t at) { return member_at(at).text == member.text; });
    const std::size_t length = member.next - offset;
    if (texts_.tags[slot] == 0) {
      if (end != offset) std::memmove(blob_.data() + end, blob_.data() + offset, length);
      texts_.put(slot, hash, end);
      end += length;
    }
    offset = member.next;
  }
  blob_.resize(end);
}

void Set::index_numbers() {
  numbers_.make_room(added_numbers_);
  for (std::size_t offset = 0; offset < blob_.size();) {
    const Member member = member_at(offset);
    if (is_json_number(member.text)) {
      const Number number(member.text);
      const std::size_t slot =
          numbers_.find(number.hash(), [&](std::size_t at) { return Number(member_at(at).text) == number; });
      if (numbers_.tags[slot] == 0) numbers_.put(slot, number.hash(), offset);
    }
    offset = member.next;
  }
}

bool Set::has_text(std::string_view text) const {
  if (texts_.count == 0) return false;
  return texts_.tags[texts_.find(hash_text(text),
                                 [&](std::size_t at) { return member_at(at).text == text; })] != 0;
}

bool Set::has_number(const Number& number) const {
  if (numbers_.count == 0) return false;
  return numbers_.tags[numbers_.find(
             number.hash(), [&](std::size_t at) { return Number(member_at(at).text) == number; })] != 0;
}

std::size_t Set::memory_bytes() const {
  return blob_.size() +
         (texts_.tags.size() + numbers_.tags.size()) * (sizeof(std::uint8_t) + sizeof(std::uint32_t));
}

void Set::Table::make_room(std::size_t members) {
  tags.assign(members + members / 3 + 1, 0);
  offsets.resize(tags.size());
}

template <class Same>
std::size_t Set::Table::find(std::uint64_t hash, Same same) const {
  // The high bits choose the slot, the low ones are the tag.
  auto slot = static_cast<std::size_t>((static_cast<unsigned __int128>(hash) * tags.size()) >> 64);
  const std::uint8_t tag = tag_of(hash);
  while (tags[slot] != 0 && (tags[slot] != tag || !same(offsets[slot]))) {
    if (++slot == tags.size()) slot = 0;
  }
  return slot;
}

void Set::Table::put(std::size_t slot, std::uint64_t hash, std::size_t offset) {
  tags[slot] = tag_of(hash);
  offsets[slot] = static_cast<std::uint32_t>(offset);
  ++count;
}

}  // namespace leat::filter
