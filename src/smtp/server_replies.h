// How the server words its replies, and the ones that it gives in several places.
#pragma once

#include <string>
#include <string_view>

#include "message/reply.h"

namespace mansio::smtp {

/// Said to whoever waits for us when the server ends (RFC 5321 §3.8).
inline constexpr std::string_view shutdown_line = "421 4.3.2 Service is shutting down\r\n";

/// Appends the wire form: every line with the code (and enhanced code), at most 500 octets each,
/// what is not printable ASCII shown as '?', but for characters of UTF-8 where `utf8` allows them.
/// Nothing in a text can start a line of its own but '\n'.
void append_reply(std::string& out, const Reply& reply, bool utf8);

Reply line_too_long();
Reply message_too_big();
/// 521 of RFC 7504: this server will never talk that.
Reply foreign_protocol();

}  // namespace mansio::smtp
