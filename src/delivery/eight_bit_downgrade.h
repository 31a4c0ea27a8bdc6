// Converts a message with 8-bit content for a peer without 8BITMIME (RFC 6152 §3): text parts to
// quoted-printable, other parts to base64. Conservative: whatever it does not understand entirely,
// or what a signature covers, is left alone and refused with a reason. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio::delivery {

/// The converted message, all octets below 128; nullopt with the reason in `why`: DKIM or S/MIME
/// signatures, 8-bit octets in a header section or outside of parts, encapsulated messages and
/// binary parts, malformed multiparts, nesting over 20.
std::optional<std::string> to_seven_bit(std::string_view message, std::string& why);

}  // namespace mansio::delivery
