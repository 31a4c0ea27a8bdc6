// CRC32C (Castagnoli), the checksum of every stored record and of message content.
#pragma once

#include <cstdint>
#include <string_view>

namespace mansio {

/// `crc` continues an earlier checksum: crc32c(b, crc32c(a)) == crc32c(a + b). Known answer:
/// crc32c("123456789") == 0xE3069283.
std::uint32_t crc32c(std::string_view data, std::uint32_t crc = 0);

/// FNV-1a style stable 64-bit hash for partitions and flows; stored on disk, so it never changes.
std::uint64_t stable_hash(std::string_view data);

}  // namespace mansio
