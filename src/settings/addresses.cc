#include "settings/addresses.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "base/text.h"
#include "message/address.h"
#include "settings/pattern.h"

namespace mansio::settings {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> parse_ip(std::string_view text) {
  ErrorCode error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  return address;
}

/// A host name that is no mistyped IPv4 address: the last label has a letter (RFC 1123 §2.1).
bool plausible_host(std::string_view name) {
  if (!valid_host_name(name)) return false;
  const std::string_view last = split(name, '.').back();
  return last.find_first_not_of("0123456789") != std::string_view::npos;
}

/// The block with the bits after the prefix cleared; empty: not a block at all.
std::string canonical_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return {};
  if (slash == std::string_view::npos) return std::string(text);
  const auto prefix = parse_decimal(text.substr(slash + 1));
  if (!prefix || *prefix > (address->is_v4() ? 32u : 128u)) return {};
  const auto length = static_cast<unsigned short>(*prefix);
  if (address->is_v4()) return ip::network_v4(address->to_v4(), length).canonical().to_string();
  return ip::network_v6(address->to_v6(), length).canonical().to_string();
}

}  // namespace

std::optional<Endpoint> parse_listen_address(std::string_view text) {
  auto endpoint = Endpoint::parse(text);
  if (!endpoint || (!endpoint->is_unix() && !parse_ip(endpoint->address))) return std::nullopt;
  return endpoint;
}

bool valid_listen_address(std::string_view text) { return parse_listen_address(text).has_value(); }

bool valid_admin_address(std::string_view text) {
  if (text.empty()) return true;
  const auto endpoint = parse_listen_address(text);
  return endpoint && !endpoint->is_unix() && parse_ip(endpoint->address)->is_loopback();
}

std::optional<Endpoint> parse_next_hop(std::string_view text) {
  if (parse_ip(text) || plausible_host(text)) {
    Endpoint hop;
    hop.address = std::string(text);
    return hop;
  }
  if (text.size() > 2 && text.starts_with('[') && text.ends_with(']') &&
      parse_ip(text.substr(1, text.size() - 2))) {
    return parse_next_hop(text.substr(1, text.size() - 2));
  }
  const auto endpoint = Endpoint::parse(text);
  if (!endpoint || endpoint->is_unix()) return endpoint;
  if (endpoint->port == 0) return std::nullopt;
  if (!parse_ip(endpoint->address) && !plausible_host(endpoint->address)) return std::nullopt;
  return endpoint;
}

bool valid_next_hop(std::string_view text) { return parse_next_hop(text).has_value(); }

std::string next_hop_text(const Endpoint& hop) {
  if (hop.is_unix() || hop.port == 0) return hop.address;
  return hop.to_string();
}

bool valid_dns_server(std::string_view text) {
  const std::size_t at = text.find('@');
  if (text.find('%') != std::string_view::npos || !parse_ip(text.substr(0, at))) return false;
  if (at == std::string_view::npos) return true;
  const auto port = parse_decimal(text.substr(at + 1));
  return port && *port >= 1 && *port <= 65535;
}

bool valid_mail_address(std::string_view text) {
  return text.empty() || Address::parse(text, true).has_value();
}

bool valid_network(std::string_view text) {
  const std::string canonical = canonical_network(text);
  if (canonical.empty()) return false;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return true;
  // Compared as addresses: one IPv6 address has many spellings.
  return parse_ip(text.substr(0, slash)) ==
         parse_ip(std::string_view(canonical).substr(0, canonical.find('/')));
}

bool valid_mode(std::string_view text) {
  return (text.size() == 3 || (text.size() == 4 && text.front() == '0')) &&
         text.find_first_not_of("01234567") == text.npos;
}

unsigned mode_of(std::string_view text) {
  unsigned mode = 0;
  for (const char digit : text) mode = mode * 8 + static_cast<unsigned>(digit - '0');
  return mode;
}

}  // namespace mansio::settings
