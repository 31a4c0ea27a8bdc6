#include "edge/received_line.h"

#include <string_view>

namespace mansio::edge {
namespace {

/// A client's name for itself, reduced to what a domain or address literal may hold.
std::string harmless_name(std::string_view name) {
  constexpr std::string_view allowed = "._-:[]";
  std::string result;
  for (char c : name) {
    const bool ordinary =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    result += ordinary || allowed.find(c) != std::string_view::npos ? c : '?';
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
  std::string line = "Received: ";
  if (origin.protocol == "local") {
    // Nobody spoke a protocol: there is no name to tell after `from`, and no `with` (§4.4).
    line += "by " + hostname + " (Mansio, from " + user_of(origin) + ")";
  } else {
    line += "from " + harmless_name(origin.client_name) + " (" + address_literal(origin) +
            ")\r\n\tby " + hostname + " with " + origin.protocol;
  }
  if (!origin.tls.empty()) line += " (" + origin.tls + ")";
  line += "\r\n\tid " + id.to_string();
  // Naming one of several recipients would tell it to the others (RFC 5321 §7.2).
  if (envelope.recipients.size() == 1) {
    // A U-label that has another form must not make the header need SMTPUTF8.
    const Address& address = envelope.recipients.front().address;
    line += "\r\n\tfor <" + ascii_address(address).value_or(address).to_string() + ">";
  }
  return line + ";\r\n\t" + to_rfc5322(now) + "\r\n";
}

}  // namespace mansio::edge
