// The listeners of the admin API: `[admin] listen`, `[admin] socket` and every listener with
// protocol "http". This version serves loopback and Unix sockets only: anything else needs TLS and
// a token, and is refused at the start.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <vector>

#include "admin/api.h"

namespace mansio::admin {

/// Runs on: one executor. start(), then stop() before destruction.
class AdminServer {
 public:
  AdminServer(boost::asio::any_io_executor executor, Queue& queue, Clock& clock,
              ApiOptions options);
  ~AdminServer();

  /// Opens the listeners that the settings name. Throws std::runtime_error for an address that this
  /// version refuses, std::system_error where an address cannot be opened (in use, permission).
  void start(const settings::Settings& settings);
  Task<void> stop(SteadyTime deadline);

  /// Where it listens, ports as the system chose them.
  std::vector<Endpoint> endpoints() const;

  /// Null: acceptable; otherwise what is wrong with `endpoint`, for people.
  static const char* why_refused(const Endpoint& endpoint);

 private:
  std::unique_ptr<net::HttpServer> open(const Endpoint& endpoint);

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  std::shared_ptr<AdminApi> api_;
  std::vector<std::unique_ptr<net::HttpServer>> servers_;
};

}  // namespace mansio::admin
