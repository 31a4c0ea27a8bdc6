// The file that a message waits in while no daemon takes it (docs/FORMATS.md, "The maildrop"): a
// prefix, the envelope, the content, and a checksum of each. Whoever may write into the folder
// wrote it, so reading trusts nothing. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "message/envelope.h"

namespace mansio {

inline constexpr std::size_t drop_prefix_size = 28;
inline constexpr std::size_t drop_checksum_size = 4;  ///< of the content, at the end of the file
inline constexpr std::size_t drop_recipients_max = 1000;
/// Of an envelope with so many recipients, every field at its largest.
inline constexpr std::uint32_t drop_head_max = 2u << 20;

struct DropPrefix {
  std::uint32_t head_size = 0;
  std::uint64_t content_size = 0;

  std::uint64_t file_size() const {
    return drop_prefix_size + head_size + content_size + drop_checksum_size;
  }
};

/// Prefix and envelope; the content and its checksum follow. The origin is not written: who reads
/// the file sees for itself where it came from. REQUIRES: 1 to drop_recipients_max recipients.
std::string encode_drop_head(const Envelope& envelope, std::uint64_t content_size);
std::string encode_drop_checksum(std::uint32_t content_checksum);

/// `octets`: the first drop_prefix_size of a file. nullopt, and `why` for people: not such a file,
/// a newer format, or sizes that cannot be.
std::optional<DropPrefix> parse_drop_prefix(std::string_view octets, std::string& why);
/// `octets`: prefix and envelope. nullopt, and `why`: damaged, or what no SMTP command can carry.
std::optional<Envelope> decode_drop_head(std::string_view octets, std::string& why);
std::uint32_t decode_drop_checksum(std::string_view octets);

}  // namespace mansio
