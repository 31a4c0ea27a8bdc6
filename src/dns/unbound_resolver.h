// The Resolver over libunbound: validating, caching, asynchronous.
//
// How it works
//   One context with one cache serves all loops. libunbound resolves in a thread of its own and
//   makes its descriptor readable when answers are there; one of our loops reads them. A lookup
//   that is asked for while the same one is under way joins it. At most `under_way_max` lookups are
//   with libunbound, at most `waiting_max` wait for one of these places; beyond that the answer is
//   `temporary`. Whoever waits does so until its deadline: a lookup that is given up goes on and
//   fills the cache.
//   Cached answers hold for their TTL; nothing is served beyond it. mx_now() makes a context for
//   its one question.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "dns/resolver.h"

namespace mansio::dns {

struct UnboundOptions {
  std::vector<std::string> servers;  ///< "192.0.2.1" or "127.0.0.1@5353"; empty: resolv_conf's
  std::string trust_anchor;          ///< file with DS or DNSKEY records; empty: no validation
  Duration timeout = std::chrono::seconds(20);  ///< of one lookup, waiting for a place included
  std::string resolv_conf = "/etc/resolv.conf";
  std::string hosts_file = "/etc/hosts";  ///< read once; empty: none
  std::size_t under_way_max = 1000;
  std::size_t waiting_max = 20'000;
};

/// Thread safety: see Resolver. It may be destroyed on any thread with lookups under way: they end
/// as `temporary`.
class UnboundResolver final : public Resolver {
 public:
  /// `executor`: of one loop, which reads the answers; its context outlives those of the loops that
  /// ask. `clock` outlives the resolver and what waits.
  /// Throws std::runtime_error when libunbound refuses the options or a file cannot be read.
  UnboundResolver(UnboundOptions options, Clock& clock, boost::asio::any_io_executor executor);
  ~UnboundResolver() override;
  UnboundResolver(const UnboundResolver&) = delete;
  UnboundResolver& operator=(const UnboundResolver&) = delete;

  Task<MxAnswer> mx(std::string domain) override;
  Task<MxAnswer> mx_now(std::string domain) override;
  Task<AddressAnswer> addresses(std::string host, Family family) override;

  /// Lookups that were handed to libunbound so far.
  std::uint64_t lookups() const;

 private:
  class Engine;
  static Task<MxAnswer> mx_from(std::shared_ptr<Engine> engine, std::string domain);

  const UnboundOptions options_;
  Clock& clock_;
  const boost::asio::any_io_executor executor_;
  std::shared_ptr<Engine> engine_;
  const std::shared_ptr<std::atomic<std::size_t>> now_under_way_ =
      std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace mansio::dns
