// HMAC-SHA256 (RFC 2104, FIPS 180-4): what only the holder of a key can make.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mansio {

using KeyedHash = std::array<std::uint8_t, 32>;

/// Thread safety: any thread. Throws std::runtime_error if the library fails.
KeyedHash keyed_hash(std::string_view key, std::string_view data);

/// Compares in a time that depends on the lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace mansio
