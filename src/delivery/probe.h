// What a destination looks like from here: route, hosts, addresses, and what each says to EHLO and
// STARTTLS. No mail is sent, nothing is remembered about the hosts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "delivery/connection.h"
#include "delivery/route.h"

namespace mansio::delivery {

struct ProbedAddress {
  std::string host;                         ///< name
  std::string address;                      ///< "ip:port"
  std::optional<std::uint16_t> preference;  ///< of the MX record that named the host
  bool ok = false;                          ///< ready for a MAIL command
  std::string greeting;
  std::vector<std::string> extensions;  ///< of the last EHLO
  std::string tls;                      ///< version and cipher, empty without TLS
  std::string tls_trouble;              ///< why there is none although it was tried
  bool tls_verified = false;
  std::string trouble;  ///< the stage and what happened, where not ok
  Duration took{};
};

struct ProbeReport {
  std::string destination;
  std::string route;    ///< the pattern of the [route] that holds; empty: none
  std::string channel;  ///< its channel
  std::string how;      ///< "mx", "implicit mx", "address literal", "next_hop", or "" (no hosts)
  std::string tls;      ///< policy: none, opportunistic, required
  std::string failure;  ///< why there are no hosts: DNS status or what the settings lack
  bool failure_is_final = false;         ///< mail would fail, not wait
  std::vector<std::string> left_out;     ///< hosts and addresses that are not used, each with why
  std::vector<ProbedAddress> addresses;  ///< in the order of a delivery
};

/// Connects to at most `addresses_max` of the addresses, one after the other.
Task<ProbeReport> probe(ConnectionPorts ports, ConnectionOptions options, RouteSource& routes,
                        std::string destination, std::string sender, std::size_t addresses_max);

}  // namespace mansio::delivery
