#include "edge/received_line.h"

#include <string_view>

namespace mansio::edge {
namespace {

/// Enough for a client with a name of ordinary length.
constexpr std::size_t usual_octets = 384;

/// A client's name for itself, reduced to what a domain or address literal may hold.
std::string harmless_name(std::string_view name) {
  constexpr std::string_view allowed = "._-:[]";
  std::string result(name);
  for (char& c : result) {
    const bool ordinary =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!ordinary && allowed.find(c) == std::string_view::npos) c = '?';
  }
  return result.empty() ? "unknown" : result;
}

/// "userid 1000" of a user of this machine, else "".
std::string user_of(const Origin& origin) {
  return origin.user.starts_with("uid:") ? "userid " + harmless_name(origin.user.substr(4)) : "";
}

std::string address_literal(const Origin& origin) {
  const std::string& address = origin.client_address;
  if (address.empty() || address.front() == '/') {
    const std::string user = user_of(origin);
    return user.empty() ? "local" : "local, " + user;
  }
  if (address.find(':') != std::string::npos) return "[IPv6:" + address + "]";
  return "[" + address + "]";
}

}  // namespace

std::string received_line(const Envelope& envelope, const std::string& hostname, const QueueId& id,
                          Time now) {
  const Origin& origin = envelope.origin;
  std::string line;
  line.reserve(usual_octets);
  const auto add = [&line](const auto&... parts) { (line.append(parts), ...); };
  if (origin.protocol == "local") {
    // Nobody spoke a protocol: there is no name to tell after `from`, and no `with` (§4.4).
    add("Received: by ", hostname, " (Mansio, from ", user_of(origin), ")");
  } else {
    add("Received: from ", harmless_name(origin.client_name), " (", address_literal(origin),
        ")\r\n\tby ", hostname, " with ", origin.protocol);
  }
  if (!origin.tls.empty()) add(" (", origin.tls, ")");
  add("\r\n\tid ", id.to_string());
  // Naming one of several recipients would tell it to the others (RFC 5321 §7.2).
  if (envelope.recipients.size() == 1) {
    // A U-label that has another form must not make the header need SMTPUTF8.
    const Address& address = envelope.recipients.front().address;
    add("\r\n\tfor <", ascii_address(address).value_or(address).to_string(), ">");
  }
  add(";\r\n\t", to_rfc5322(now), "\r\n");
  return line;
}

}  // namespace mansio::edge
