// What a channel's sessions know of hosts, so that a dead one is not found out anew by each.
// Thread safety: all functions from any thread.
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "base/time.h"
#include "delivery/route.h"

namespace mansio::delivery {

/// Hosts that failed stand behind the others for a while; they are still tried when nothing better
/// is left, so a table of failures alone never defers mail. Bounded: the oldest entries go.
class HostTable {
 public:
  /// `avoid_for` holds for failures of either kind.
  explicit HostTable(Duration avoid_for = std::chrono::seconds(60), std::size_t hosts_max = 10000);

  void failed(const Endpoint& host, SteadyTime now);
  void worked(const Endpoint& host);
  /// The handshake with this host failed and plain text was used instead.
  void tls_failed(const Endpoint& host, SteadyTime now);
  bool avoid_tls(const Endpoint& host, SteadyTime now) const;
  /// Stable: hosts that work, in their order, then those that failed lately, in theirs.
  std::vector<RouteHost> in_order(std::vector<RouteHost> hosts, SteadyTime now) const;

 private:
  struct State {
    SteadyTime avoid_until{};
    SteadyTime plain_until{};
  };

  State& entry(const Endpoint& host, SteadyTime now);

  const Duration avoid_for_;
  const std::size_t hosts_max_;
  mutable std::mutex mutex_;
  std::map<Endpoint, State> hosts_;  // guarded by mutex_
};

}  // namespace mansio::delivery
