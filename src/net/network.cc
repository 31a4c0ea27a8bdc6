#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/text.h"
#include "net/net.h"

namespace mansio::net {
namespace {

using Octets = std::vector<unsigned char>;

/// 4 or 16 octets; an IPv4 address inside IPv6 (::ffff:192.0.2.1) is the IPv4 address.
std::optional<Octets> octets_of(std::string_view text) {
  boost::system::error_code error;
  auto address = boost::asio::ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  }
  if (address.is_v4()) {
    const auto octets = address.to_v4().to_bytes();
    return Octets(octets.begin(), octets.end());
  }
  const auto octets = address.to_v6().to_bytes();
  return Octets(octets.begin(), octets.end());
}

struct Network {
  Octets prefix;
  std::size_t bits = 0;
};

std::optional<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  auto prefix = octets_of(text.substr(0, slash));
  if (!prefix) return std::nullopt;
  Network network;
  network.bits = prefix->size() * 8;
  if (slash != text.npos) {
    const auto bits = parse_decimal(text.substr(slash + 1));
    if (!bits || *bits > network.bits) return std::nullopt;
    network.bits = static_cast<std::size_t>(*bits);
  }
  network.prefix = std::move(*prefix);
  return network;
}

}  // namespace

std::vector<std::string> interface_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  std::vector<std::string> out;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      out.push_back(boost::asio::ip::address_v4(ntohl(address->sin_addr.s_addr)).to_string());
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      boost::asio::ip::address_v6::bytes_type octets;
      std::copy(std::begin(address->sin6_addr.s6_addr), std::end(address->sin6_addr.s6_addr),
                octets.begin());
      out.push_back(boost::asio::ip::address_v6(octets).to_string());
    }
  }
  ::freeifaddrs(list);
  return out;
}

bool in_network(std::string_view address, std::string_view network) {
  const auto octets = octets_of(address);
  const auto block = parse_network(network);
  if (!octets || !block || octets->size() != block->prefix.size()) return false;
  for (std::size_t bit = 0; bit < block->bits; bit += 8) {
    const auto left = block->bits - bit;
    const unsigned mask = left >= 8 ? 0xffu : (0xff00u >> left) & 0xffu;
    if ((((*octets)[bit / 8] ^ block->prefix[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

std::string client_network(std::string_view address) {
  const auto octets = octets_of(address);
  if (!octets) return std::string(address);
  if (octets->size() == 4) {
    boost::asio::ip::address_v4::bytes_type bytes;
    std::copy(octets->begin(), octets->end(), bytes.begin());
    return boost::asio::ip::make_address_v4(bytes).to_string();
  }
  boost::asio::ip::address_v6::bytes_type bytes{};
  std::copy_n(octets->begin(), 8, bytes.begin());
  return boost::asio::ip::make_address_v6(bytes).to_string() + "/64";
}

bool valid_network(std::string_view network) { return parse_network(network).has_value(); }

}  // namespace mansio::net
