#include "delivery/host_table.h"

#include <algorithm>
#include <utility>

namespace mansio::delivery {

HostTable::HostTable(Duration avoid_for, std::size_t hosts_max)
    : avoid_for_(avoid_for), hosts_max_(hosts_max) {}

HostTable::State& HostTable::entry(const Endpoint& host, SteadyTime now) {
  if (hosts_.size() >= hosts_max_ && !hosts_.contains(host)) {
    std::erase_if(hosts_, [now](const auto& item) {
      return item.second.avoid_until <= now && item.second.plain_until <= now;
    });
    if (hosts_.size() >= hosts_max_) hosts_.erase(hosts_.begin());
  }
  return hosts_[host];
}

void HostTable::failed(const Endpoint& host, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  entry(host, now).avoid_until = now + avoid_for_;
}

void HostTable::worked(const Endpoint& host) {
  const std::lock_guard lock(mutex_);
  const auto found = hosts_.find(host);
  if (found != hosts_.end()) found->second.avoid_until = SteadyTime{};
}

void HostTable::tls_failed(const Endpoint& host, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  entry(host, now).plain_until = now + avoid_for_;
}

bool HostTable::avoid_tls(const Endpoint& host, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = hosts_.find(host);
  return found != hosts_.end() && found->second.plain_until > now;
}

std::vector<RouteHost> HostTable::in_order(std::vector<RouteHost> hosts, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  std::stable_partition(hosts.begin(), hosts.end(), [this, now](const RouteHost& host) {
    const auto found = hosts_.find(host.endpoint);
    return found == hosts_.end() || found->second.avoid_until <= now;
  });
  return hosts;
}

}  // namespace mansio::delivery
