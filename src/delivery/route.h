// From a destination to the hosts that take its mail, and what holds on the way to them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/stream.h"
#include "message/disposition.h"
#include "settings/settings.h"

namespace mansio::delivery {

struct RouteHost {
  std::string name;   ///< as configured or looked up; what logs, notices and TLS name
  Endpoint endpoint;  ///< its address may be a name, which the connector resolves
};

enum class TlsPolicy : std::uint8_t { none, opportunistic, required };

struct Route {
  std::vector<RouteHost> hosts;  ///< in the order in which they are tried
  TlsPolicy tls = TlsPolicy::opportunistic;
  bool tls_verify = false;
  std::optional<settings::Auth> auth;
};

/// `failure` is set if there is no route.
struct RouteResult {
  Route route;
  std::optional<Disposition> failure;
};

/// Thread safety: any loop.
class RouteSource {
 public:
  virtual ~RouteSource() = default;
  virtual Task<RouteResult> route(std::string destination) = 0;
  /// The hosts, or why there are none; for people.
  virtual std::string describe(const std::string& destination) const = 0;
};

/// The smart hosts of [route]. A destination without next_hop is deferred with a clear text: MX
/// delivery is not available in this version.
class SettingsRoutes final : public RouteSource {
 public:
  explicit SettingsRoutes(std::shared_ptr<const settings::Settings> settings);

  Task<RouteResult> route(std::string destination) override;
  std::string describe(const std::string& destination) const override;

 private:
  RouteResult find(const std::string& destination) const;

  std::shared_ptr<const settings::Settings> settings_;
};

}  // namespace mansio::delivery
