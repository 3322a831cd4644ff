#include "workers/stage/briefing.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "config/encoding.h"

namespace leat::stage {

namespace {

// A pipeline file has 1 MiB; written out, each value takes up to 50 times the bytes that it has there.
constexpr off_t kMaxBytes = off_t{64} << 20U;

}  // namespace

std::string encode(const Briefing& briefing) {
  return encode_fields(briefing);
}

Fd briefing_file(std::string_view encoded) {
  Fd file(::memfd_create("leat-briefing", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::write(file.get(), encoded.data(), encoded.size()) != static_cast<ssize_t>(encoded.size()) ||
      ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
  return file;
}

Result<ReadBriefing> read_briefing(int file) {
  struct stat found {};
  std::string bytes;
  if (::fstat(file, &found) == 0 && S_ISREG(found.st_mode) && found.st_size <= kMaxBytes) {
    bytes.resize(static_cast<std::size_t>(found.st_size));
    if (::pread(file, bytes.data(), bytes.size(), 0) != found.st_size) bytes.clear();
  }
  auto briefing = decode_fields<Briefing>(bytes, "the briefing of the supervisor");
  std::string version = briefing ? briefing->version : "";
  if (!briefing) {  // one of another release has other keys
    if (const auto document = parse_json_object(bytes)) version = document->root().text("version");
  }
  if (version != LEAT_VERSION && !bytes.empty()) {
    return fail(Fault::kFatal,
                fmt::format("this is version " LEAT_VERSION
                            ", its supervisor is {}: install all programs of one release",
                            version.empty() ? "of another" : version),
                kExitConfig);
  }
  if (!briefing) return fail(Fault::kFatal, briefing.error().text, kExitBug);
  return ReadBriefing{*std::move(briefing), digest(bytes)};
}

std::uint64_t digest(std::string_view encoded) {
  return XXH3_64bits(encoded.data(), encoded.size());
}

}  // namespace leat::stage
