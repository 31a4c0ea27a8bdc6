// The forms of addresses in settings: where to listen, whom to hand mail to, who may relay. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/stream.h"

namespace mansio::settings {

/// "127.0.0.1:2525", "[::1]:25", "0.0.0.0:0" or "/run/x.sock"; no host names.
std::optional<Endpoint> parse_listen_address(std::string_view text);
bool valid_listen_address(std::string_view text);
/// A listen address on the loopback interface, or "".
bool valid_admin_address(std::string_view text);

/// A host name or IP address with or without a port (then it is 0 here), or the path of a socket.
std::optional<Endpoint> parse_next_hop(std::string_view text);
bool valid_next_hop(std::string_view text);
/// What parse_next_hop reads back.
std::string next_hop_text(const Endpoint& hop);

/// An IP address, with "@" and a port or without.
bool valid_dns_server(std::string_view text);

/// A mail address without angle brackets, or "".
bool valid_mail_address(std::string_view text);

/// An IP address, or a CIDR block whose bits after the prefix are zero.
bool valid_network(std::string_view text);
/// Permissions in octal, without special bits: "0660".
bool valid_mode(std::string_view text);
/// REQUIRES: valid_mode.
unsigned mode_of(std::string_view text);

}  // namespace mansio::settings
