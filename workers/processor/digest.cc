#include "workers/processor/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <cstddef>
#include <utility>

#include "proto/base/result.h"

namespace leat::processor {

Digest::Digest(config::HashAlgorithm algorithm) : algorithm_(algorithm) {
  if (algorithm_ != config::HashAlgorithm::kSha256) return;
  method_ = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  context_ = EVP_MD_CTX_new();
  LEAT_CHECK(method_ != nullptr && context_ != nullptr, "OpenSSL offers no SHA256");
}

Digest::Digest(Digest&& other) noexcept
    : algorithm_(other.algorithm_),
      context_(std::exchange(other.context_, nullptr)),
      method_(std::exchange(other.method_, nullptr)) {}

Digest::~Digest() {
  EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_));
  EVP_MD_free(static_cast<EVP_MD*>(method_));
}

std::string_view Digest::hex(std::string_view bytes) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  std::size_t size = 0;
  if (algorithm_ == config::HashAlgorithm::kSha256) {
    auto* context = static_cast<EVP_MD_CTX*>(context_);
    unsigned written = 0;
    bool done = EVP_DigestInit_ex(context, static_cast<EVP_MD*>(method_), nullptr) == 1 &&
                EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1 &&
                EVP_DigestFinal_ex(context, digest.data(), &written) == 1;
    LEAT_CHECK(done && written == 32, "SHA256 failed");
    size = written;
  } else {
    XXH64_canonical_t canonical;
    XXH64_canonicalFromHash(&canonical, XXH64(bytes.data(), bytes.size(), 0));
    for (unsigned char byte : canonical.digest) digest[size++] = byte;
  }
  for (std::size_t i = 0; i < size; ++i) {
    text_[2 * i] = kHex[digest[i] >> 4U];
    text_[2 * i + 1] = kHex[digest[i] & 15U];
  }
  return {text_.data(), 2 * size};
}

}  // namespace leat::processor
