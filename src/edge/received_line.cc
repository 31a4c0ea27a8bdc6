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

std::string address_literal(const std::string& address) {
  if (address.empty() || address.front() == '/') return "local";
  if (address.find(':') != std::string::npos) return "[IPv6:" + address + "]";
  return "[" + address + "]";
}

}  // namespace

std::string received_line(const Envelope& envelope, const std::string& hostname, const QueueId& id,
                          Time now) {
  const Origin& origin = envelope.origin;
  std::string line = "Received: from " + harmless_name(origin.client_name) + " (" +
                     address_literal(origin.client_address) + ")\r\n\tby " + hostname + " with " +
                     origin.protocol;
  if (!origin.tls.empty()) line += " (" + origin.tls + ")";
  line += "\r\n\tid " + id.to_string();
  // Naming one of several recipients would tell it to the others (RFC 5321 §7.2).
  if (envelope.recipients.size() == 1) {
    line += "\r\n\tfor <" + envelope.recipients.front().address.to_string() + ">";
  }
  return line + ";\r\n\t" + to_rfc5322(now) + "\r\n";
}

}  // namespace mansio::edge
