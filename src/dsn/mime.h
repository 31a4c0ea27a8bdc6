// The small part of MIME that a notice needs: making arbitrary octets safe to stand in a header
// field, in a text part, and between boundaries. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::dsn {

/// Octets of a peer as printable ASCII on one line: line breaks become spaces, everything else that
/// is not printable ASCII is written as \xNN. At most `octets_max`, a cut is marked with "...".
std::string to_printable_ascii(std::string_view text, std::size_t octets_max);

/// "Name: value" with CRLF, folded before blanks near column 76; blanks are kept (up to 64 in a
/// row). Longer words are broken at 900 octets, below the limit of RFC 5322 §2.1.1. Continuation
/// lines begin with a blank, so nothing in `value` can start a field. REQUIRES: no CR, LF or NUL in
/// it.
std::string header_field(std::string_view name, std::string_view value);

/// Words of `text` in lines of about 72 columns, each indented by `indent` spaces, ended by CRLF.
std::string wrapped(std::string_view text, std::size_t indent);

/// True if the octets can travel as 7bit: ASCII without controls but TAB and CRLF, lines ≤ 998.
bool is_seven_bit(std::string_view octets);

/// An internationalised address for a report (RFC 6533 §3). `unicode` false: utf-8-addr-xtext,
/// "\x{F6}" for each character outside printable ASCII; true: utf-8-addr-unitext, for mail that
/// travels by SMTPUTF8. Both write "+", "=" and "\" so too.
std::string utf8_address(std::string_view address, bool unicode);

/// The address that utf8_address() wrote; escapes that are none stay as they are.
std::string from_utf8_address(std::string_view text);

}  // namespace mansio::dsn
