// The daemon: builds the objects from the settings, connects them, and ends them in order.
// Start: spool, loops, channels, queue, admin, listeners. Stop: the other way round.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "admin/server.h"
#include "base/clock.h"
#include "base/loops.h"
#include "delivery/route.h"
#include "delivery/trace.h"
#include "edge/maildrop.h"
#include "edge/smtp_edge.h"
#include "mansiod/watchdog.h"
#include "net/net.h"
#include "queue/queue.h"
#include "settings/settings.h"

namespace mansio::daemon {

/// Runs on: the thread of `control`, which also serves the admin API.
class Daemon {
 public:
  /// `config_path` is read again at a reload.
  Daemon(boost::asio::io_context& control, std::string config_path, settings::Settings settings);
  ~Daemon();

  /// Throws spool::OpenError, std::system_error (addresses), std::runtime_error (certificates).
  void start();
  /// Reads the file again. What is wrong with it is logged and given back, and the old settings
  /// stay as they are; empty: the new ones are in force.
  std::string reload();
  /// Ends in order: no new mail, no new attempts, running ones until the drain deadline, then the
  /// spool. `done` runs on the control thread.
  Task<void> stop();
  /// What stop() is doing, for the message when it takes too long. From a signal handler too.
  static const char* stop_stage();

  Duration drain() const { return settings_->server.drain; }

  /// Called once when the spool failed: the daemon is to end with exit_spool_io.
  void on_spool_failure(std::function<void(std::string)> notify);

 private:
  using Channels = std::map<std::string, std::shared_ptr<delivery::Channel>>;

  std::shared_ptr<delivery::RouteSource> make_routes(
      const std::shared_ptr<const settings::Settings>& settings);
  Channels make_channels(const std::shared_ptr<const settings::Settings>& settings,
                         std::shared_ptr<delivery::RouteSource> routes);
  admin::ApiOptions api_options();
  Task<delivery::ProbeReport> probe(std::string destination, std::string sender);
  std::unique_ptr<edge::SmtpEdge> make_edge();
  std::unique_ptr<edge::Maildrop> make_maildrop();

  boost::asio::io_context& control_;
  std::string config_path_;
  const std::size_t descriptors_;
  std::shared_ptr<const settings::Settings> settings_;
  std::unique_ptr<Clock> clock_;
  delivery::TraceBook traces_;
  std::unique_ptr<spool::Spool> spool_;
  std::unique_ptr<Loops> loops_;
  std::unique_ptr<Connector> connector_;
  std::shared_ptr<TlsContext> client_tls_, client_tls_verifying_;
  std::shared_ptr<delivery::RouteSource> routes_;  // of the settings that hold now
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<edge::QueueAdmission> admission_;
  net::PassedSockets passed_;  // by the service manager
  std::unique_ptr<edge::SmtpEdge> edge_;
  std::unique_ptr<Loops> maildrop_loop_;  // its own: it reads from disk
  std::unique_ptr<edge::Maildrop> maildrop_;
  std::unique_ptr<Watchdog> watchdog_;
  std::unique_ptr<admin::AdminServer> admin_;
  std::function<void(std::string)> spool_failure_;
  bool stopping_ = false;
};

}  // namespace mansio::daemon
