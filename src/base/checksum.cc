#include "base/checksum.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace mansio {

std::uint32_t crc32c(std::string_view data, std::uint32_t crc) {
  // ISA-L takes neither the initial nor the final inversion, and lengths as int.
  constexpr std::size_t kPiece = 1u << 30;
  crc = ~crc;
  while (!data.empty()) {
    const auto size = std::min(data.size(), kPiece);
    auto* start = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
    crc = crc32_iscsi(start, static_cast<int>(size), crc);
    data.remove_prefix(size);
  }
  return ~crc;
}

std::uint64_t stable_hash(std::string_view data) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, 64 bits
  for (const char c : data) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  // FNV leaves the low bits of short inputs alike, and partitions take few bits: mix them.
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdu;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53u;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace mansio
