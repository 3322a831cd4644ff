// Digests as lower-case hex. digest.cc is the only file here that names xxHash and OpenSSL.
#pragma once

#include <array>
#include <string_view>

#include "config/pipeline.h"

namespace leat::processor {

class Digest {
 public:
  explicit Digest(config::HashAlgorithm algorithm);
  ~Digest();
  Digest(Digest&& other) noexcept;
  Digest& operator=(Digest&&) = delete;

  // kXxh64: XXH64 with seed 0, 16 digits, most significant first. kSha256: 64 digits. Valid until the next
  // call.
  std::string_view hex(std::string_view bytes);

 private:
  config::HashAlgorithm algorithm_;
  void* context_ = nullptr;  // kSha256: an EVP_MD_CTX
  void* method_ = nullptr;   // kSha256: an EVP_MD, fetched once as OpenSSL 3 looks it up by name
  std::array<char, 64> text_{};
};

}  // namespace leat::processor
