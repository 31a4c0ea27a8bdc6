// The content transfer encodings of MIME (RFC 2045 §6.7, §6.8). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio {

/// Text as quoted-printable in lines of up to 76 octets: CRLF stays a line break, a CR or LF that
/// stands alone is encoded.
std::string quoted_printable(std::string_view text);

/// Octets as base64 in lines of 76, each ended by CRLF.
std::string base64_lines(std::string_view octets);

/// What is quoted-printable already with its lines over 76 octets broken by soft line breaks: it
/// decodes to the same. nullopt: a '=' stands where none may.
std::optional<std::string> softly_broken(std::string_view encoded);

/// What is base64 already in lines of 76. nullopt: it holds something else.
std::optional<std::string> base64_rewrapped(std::string_view encoded);

/// What `encoded` means, read leniently, since it comes from anybody: blanks at the end of a line go,
/// soft line breaks join, an escape that is none stays as it is (RFC 2045 §6.7).
std::string from_quoted_printable(std::string_view encoded);

/// What `encoded` means: octets that are not of the alphabet are passed over (RFC 2045 §6.8), a
/// "=" ends a group, and an incomplete group at the end gives the octets that it has.
std::string from_base64(std::string_view encoded);

}  // namespace mansio
