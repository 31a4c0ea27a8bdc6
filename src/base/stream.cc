#include "base/stream.h"

#include <limits>

#include "base/text.h"

namespace mansio {

std::string Endpoint::to_string() const {
  if (is_unix()) return address;
  const auto host = is_ipv6() ? "[" + address + "]" : address;
  return host + ":" + std::to_string(port);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  Endpoint endpoint;
  if (text.starts_with('/')) {
    if (text.size() == 1 || text.find('\0') != text.npos) return std::nullopt;
    endpoint.address = text;
    return endpoint;
  }
  const auto colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_decimal(text.substr(colon + 1));
  if (!port || *port > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;

  auto host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']') || host.find(':') == host.npos) return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return std::nullopt;  // which colon starts the port?
  }
  if (host.empty() || host.find_first_of("[]/ \t\r\n") != host.npos) return std::nullopt;
  endpoint.address = host;
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

}  // namespace mansio
