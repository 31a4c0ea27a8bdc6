// The SMTP and LMTP listeners: accepts connections within the limits, gives each to the least
// loaded event loop, and ends them in order. Listeners of other protocols in the settings are not
// its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task_group.h"
#include "edge/admission.h"
#include "edge/client_handler.h"
#include "net/net.h"
#include "settings/settings.h"

namespace mansio::edge {

/// Thread safety: statistics() and reload() from any thread; the rest from the owner.
class SmtpEdge {
 public:
  struct Ports {
    Admission& admission;
    Clock& clock;
    std::vector<boost::asio::any_io_executor> loops;
    /// Descriptors that the process may open; at most half of them become connections. 0: unknown.
    std::size_t descriptors = 0;
    /// The last argument: permissions of a Unix socket's file.
    std::function<std::unique_ptr<Listener>(boost::asio::any_io_executor, const Endpoint&,
                                            unsigned)>
        listen;
    std::function<std::shared_ptr<TlsContext>(const net::TlsOptions&)> make_tls;
  };

  /// With real sockets and TLS. `admission` and `clock` must outlive the edge, and the loops run
  /// until stop() has completed.
  static Ports ports(Admission& admission, Clock& clock,
                     std::vector<boost::asio::any_io_executor> loops, std::size_t descriptors);

  SmtpEdge(Ports ports, std::shared_ptr<const settings::Settings> settings);
  /// REQUIRES: stop() has completed, or start() was never called or threw.
  ~SmtpEdge();

  /// Opens the listeners and accepts. Throws std::system_error naming the address, or
  /// std::runtime_error for a certificate.
  void start();
  /// Closes the listeners, says 421 to clients that wait, lets messages under way end until
  /// `deadline`, then cuts what is left.
  Task<void> stop(SteadyTime deadline);
  /// Opens listeners that are new, closes those that are gone, uses the new limits and certificates
  /// for connections from now on. Throws as start(); then nothing has changed.
  void reload(std::shared_ptr<const settings::Settings> settings);

  const EdgeStatistics& statistics() const { return state_->statistics; }

  /// Where the listeners are, in the order of the settings: with the port that the system chose.
  std::vector<Endpoint> endpoints() const;

 private:
  struct Loop;
  struct Door;
  struct Place;
  using Doors = std::vector<std::shared_ptr<Door>>;

  Doors make_doors(const settings::Settings& settings, const Doors& open) const;
  void use(const settings::Settings& settings, Doors doors);
  void admit_clients(const std::shared_ptr<Door>& door);
  void close_door(const std::shared_ptr<Door>& door);
  Task<void> accept_at(std::shared_ptr<Door> door);
  void take(std::unique_ptr<Stream> stream, Loop& loop,
            const std::shared_ptr<const Profile>& profile, const Endpoint& local);
  Task<void> serve(std::unique_ptr<Stream> stream, std::shared_ptr<Place> place,
                   std::shared_ptr<const Profile> profile, bool relays, Loop& loop);
  Task<void> refuse(std::unique_ptr<Stream> stream, std::shared_ptr<Place> place);
  std::shared_ptr<Place> find_place(const std::string& client, bool relays, Loop& loop,
                                    std::string& refusal);
  void leave(const Place& place);
  Loop& least_loaded();
  Task<void> stop_loop(Loop& loop, SteadyTime deadline);

  // Constant after construction
  const Ports ports_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::shared_ptr<EdgeState> state_ = std::make_shared<EdgeState>();

  mutable std::mutex mutex_;
  // Guarded by mutex_
  Doors doors_;
  std::uint32_t connections_per_client_ = 0;
  bool limits_relays_ = false;
  std::uint64_t connections_ = 0;
  std::map<std::string, std::uint32_t> clients_;  // connections by net::client_network()
};

}  // namespace mansio::edge
