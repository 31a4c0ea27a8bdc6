// Re-encodes the parts of a message that cannot travel as they are: 8-bit content for a peer
// without 8BITMIME (RFC 6152 §3), binary content for one without BINARYMIME (RFC 3030 §3), lines
// beyond the limit of SMTP (RFC 5321 §4.5.3.1.6). Text
// becomes quoted-printable, other parts base64. Conservative: whatever it does not understand
// entirely, or what a signature covers, is left alone and refused with a reason. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio {

/// All keep only the header of a message that a delivery report (RFC 6522) returns, if that
/// message breaks the rule: a report is never refused for what it reports.

/// The message with all octets below 128; nullopt with the reason in `why`: DKIM or S/MIME
/// signatures, 8-bit octets in a header section or outside of parts, encapsulated messages and
/// binary parts, malformed multiparts, nesting over 20.
std::optional<std::string> to_seven_bit(std::string_view message, std::string& why);

/// The message with no NUL, no CR or LF that stands alone, and no line over 998 octets, so that
/// DATA can carry it; with `seven_bit` also as to_seven_bit(). Parts that say `binary` become
/// base64. nullopt with the reason in `why`: as above, or such octets in a header section.
std::optional<std::string> to_text(std::string_view message, bool seven_bit, std::string& why);

/// The message with no line over `line_max` octets (at least 76, without CRLF). Parts without such
/// lines stay as they are; what is quoted-printable or base64 already only gets new line ends;
/// header fields are folded at their white space. nullopt with the reason in `why`: as above, or a
/// field that holds no white space to fold it at.
std::optional<std::string> to_short_lines(std::string_view message, std::size_t line_max,
                                          std::string& why);

}  // namespace mansio
