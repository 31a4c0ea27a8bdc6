// From a destination to the hosts that take its mail, and what holds on the way to them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "message/disposition.h"
#include "message/message.h"
#include "settings/settings.h"

namespace mansio::delivery {

/// One address to connect to.
struct RouteHost {
  std::string name;   ///< as configured or looked up; what logs, notices and TLS name
  Endpoint endpoint;  ///< an IP address and port, or the path of a Unix socket
  std::optional<std::uint16_t> preference = std::nullopt;  ///< of the MX record that names it
  bool from_mx = false;                                    ///< the DNS named it, not the settings
};

enum class TlsPolicy : std::uint8_t { none, opportunistic, required };
const char* to_text(TlsPolicy policy);

struct Route {
  std::vector<RouteHost> hosts;  ///< in the order in which they are tried
  TlsPolicy tls = TlsPolicy::opportunistic;
  bool tls_verify = false;
  std::optional<settings::Auth> auth;
};

/// `failure` is set if there is no host to try. Its outcome may be `failed`: then it holds for all
/// mail of the destination now, and no host had a say in it.
struct RouteResult {
  Route route;
  std::optional<Disposition> failure;
  std::string pattern;  ///< of the [route] that holds; empty: none
  std::string channel;  ///< its channel
  bool lmtp = false;    ///< that channel speaks LMTP
  std::string how;      ///< "mx", "implicit mx", "address literal", "next_hop"; empty: no hosts
  std::vector<std::string> left_out;  ///< hosts and addresses that are not used, each with why
};

/// Thread safety: any loop.
class RouteSource {
 public:
  virtual ~RouteSource() = default;
  virtual Task<RouteResult> route(LaneKey lane) = 0;
  /// The lane that mail from `sender` ("" for the null path) to the destination would be in.
  virtual LaneKey lane_for(const std::string& destination, const std::string& sender) const = 0;
  /// The hosts as the settings name them, or why there are none; for people.
  virtual std::string describe(const std::string& destination) const = 0;
};

}  // namespace mansio::delivery
