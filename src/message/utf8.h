// UTF-8 as addresses and people need it: strict decoding (RFC 3629) and which characters may not be
// shown or used because they steer text instead of being text. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio {

/// Takes one character from the front of `text`. nullopt, and `text` unchanged: empty, truncated,
/// overlong, a surrogate, or beyond U+10FFFF.
std::optional<char32_t> take_utf8(std::string_view& text);

/// Control characters (C0, DEL, C1), line and paragraph separators, bidi controls, the byte order
/// mark and noncharacters: never part of an address, never printed as they are.
bool is_steering_character(char32_t character);

bool is_ascii(std::string_view text);

/// Octets of a peer as one line for people: line breaks become spaces, valid UTF-8 stays, anything
/// else (controls, broken UTF-8) is written as \xNN.
std::string to_printable_line(std::string_view text);

}  // namespace mansio
