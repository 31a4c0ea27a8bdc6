// The routes of the settings: to smart hosts, to the MX hosts of a destination, or to an address
// literal. Asks the DNS and leaves the rules to mx_hosts.h.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/random.h"
#include "delivery/mx_hosts.h"
#include "delivery/route.h"
#include "dns/resolver.h"

namespace mansio::delivery {

/// Thread safety: any loop.
class Routes final : public RouteSource {
 public:
  /// `random` shuffles MX hosts of equal preference.
  Routes(std::shared_ptr<const settings::Settings> settings,
         std::shared_ptr<dns::Resolver> resolver, Ourselves ourselves,
         std::unique_ptr<Random> random);

  Task<RouteResult> route(LaneKey lane) override;
  LaneKey lane_for(const std::string& destination, const std::string& sender) const override;
  std::string describe(const std::string& destination) const override;

 private:
  Task<void> find_by_mx(RouteResult& result, std::string domain, AddressRules rules);
  Task<void> find_hosts(RouteResult& result, std::string domain, AddressRules rules,
                        dns::MxAnswer answer);
  Task<void> find_next_hops(RouteResult& result, const settings::Route& route, Families families);
  MxChoice choose(const std::string& domain, const dns::MxAnswer& answer);

  const std::shared_ptr<const settings::Settings> settings_;
  const std::shared_ptr<dns::Resolver> resolver_;
  const Ourselves ourselves_;
  std::mutex random_mutex_;
  const std::unique_ptr<Random> random_;  // guarded by random_mutex_
};

}  // namespace mansio::delivery
