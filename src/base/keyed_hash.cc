#include "base/keyed_hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdexcept>

namespace mansio {

KeyedHash keyed_hash(std::string_view key, std::string_view data) {
  KeyedHash hash{};
  unsigned length = 0;
  const auto* octets = reinterpret_cast<const unsigned char*>(data.data());
  const auto* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets,
                          data.size(), hash.data(), &length);
  if (made == nullptr || length != hash.size()) throw std::runtime_error("HMAC-SHA256 failed");
  return hash;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace mansio
