#include "mansiod/daemon.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <thread>
#include <utility>

#include "base/log.h"
#include "delivery/discard_channel.h"
#include "delivery/probe.h"
#include "delivery/routes.h"
#include "delivery/smtp_channel.h"
#include "dns/unbound_resolver.h"
#include "mansiod/return_paths.h"
#include "mansiod/spool_of.h"
#include "settings/load.h"

namespace mansio::daemon {
namespace {

std::vector<Endpoint> admin_listeners(const settings::Settings& settings) {
  std::vector<Endpoint> result;
  for (const settings::Listener& listener : settings.listeners) {
    if (listener.protocol == "http") result.push_back(listener.address);
  }
  return result;
}

/// What a reload cannot change, because mail or sockets hang on it, or it is read at the start
/// only.
std::string needs_restart(const settings::Settings& old, const settings::Settings& fresh) {
  if (old.spool.url != fresh.spool.url) return "spool.url";
  if (old.spool.reserve != fresh.spool.reserve) return "spool.reserve";
  if (old.spool.reserve_share != fresh.spool.reserve_share) return "spool.reserve_share";
  if (old.history_keep != fresh.history_keep) return "history.keep";
  if (old.log.level != fresh.log.level) return "log.level";
  if (old.server.loops != fresh.server.loops) return "server.loops";
  if (old.admin.listen != fresh.admin.listen) return "admin.listen";
  if (old.admin.socket != fresh.admin.socket) return "admin.socket";
  if (admin_listeners(old) != admin_listeners(fresh)) return "a listener with protocol \"http\"";
  return {};
}

/// Where mail that comes back to us would arrive: a wildcard listener stands for all our addresses.
delivery::Ourselves ourselves(const settings::Settings& settings) {
  delivery::Ourselves result;
  result.hostname = settings.server.hostname;
  for (const settings::Listener& listener : settings.listeners) {
    const Endpoint& address = listener.address;
    if (listener.protocol != "smtp" || address.is_unix() || address.port == 0) continue;
    result.listeners.push_back(address);
    if (address.address != "0.0.0.0" && address.address != "::") continue;
    for (std::string& own : net::interface_addresses()) {
      result.listeners.push_back({std::move(own), address.port});
    }
  }
  return result;
}

/// Outbound connections take at most half of the descriptors; the listeners have the other half.
std::shared_ptr<const settings::Settings> within_descriptors(settings::Settings settings,
                                                             std::size_t descriptors) {
  const auto most =
      static_cast<std::uint32_t>(std::clamp<std::size_t>(descriptors / 2, 8, 1u << 30));
  auto& server = settings.server;
  if (server.connections_out_max > most) {
    log::warning("connections_limited")
        .field("setting", "server.connections_out_max")
        .field("wanted", server.connections_out_max)
        .field("limit", most)
        .field("descriptors", descriptors);
    server.connections_out_max = most;
    server.connections_out_reserve = std::min(server.connections_out_reserve, most / 4);
  }
  return std::make_shared<const settings::Settings>(std::move(settings));
}

/// Whether a message with this id is or was in the queue.
Task<edge::Known> is_known(Queue& queue, QueueId id) {
  const ErrorCode missing = make_error_code(spool::Errc::missing);
  auto getting = queue.get(id);
  const auto message = co_await std::move(getting);
  if (message) co_return edge::Known::yes;
  if (message.error() != missing) co_return edge::Known::unsure;
  auto reading = queue.history(id);
  const auto history = co_await std::move(reading);
  if (!history && history.error() != missing) co_return edge::Known::unsure;
  co_return history && !history->empty() ? edge::Known::yes : edge::Known::no;
}

std::atomic<const char*> stage{"start"};

}  // namespace

const char* Daemon::stop_stage() { return stage; }

Daemon::Daemon(boost::asio::io_context& control, std::string config_path,
               settings::Settings settings)
    : control_(control),
      config_path_(std::move(config_path)),
      descriptors_(net::raise_descriptor_limit()),
      settings_(within_descriptors(std::move(settings), descriptors_)),
      clock_(make_system_clock()),
      traces_(*clock_),
      passed_(net::PassedSockets::from_environment()) {}

Daemon::~Daemon() = default;

void Daemon::on_spool_failure(std::function<void(std::string)> notify) {
  spool_failure_ = std::move(notify);
}

/// With a resolver of their own, so that a reload takes a changed resolv.conf, hosts file or trust
/// anchor with it; the lookups of the old one end as they are.
std::shared_ptr<delivery::RouteSource> Daemon::make_routes(
    const std::shared_ptr<const settings::Settings>& settings) {
  dns::UnboundOptions options;
  options.servers = settings->dns.servers;
  options.trust_anchor = settings->dns.trust_anchor;
  options.timeout = settings->dns.timeout;
  auto resolver =
      std::make_shared<dns::UnboundResolver>(std::move(options), *clock_, control_.get_executor());
  return std::make_shared<delivery::Routes>(settings, std::move(resolver), ourselves(*settings),
                                            make_system_random());
}

Daemon::Channels Daemon::make_channels(const std::shared_ptr<const settings::Settings>& settings,
                                       std::shared_ptr<delivery::RouteSource> routes) {
  const auto smtp = [&](bool lmtp) {
    delivery::SmtpChannelOptions options;
    options.lmtp = lmtp;
    options.timeouts = settings->timeouts;
    // To LMTP the reverse-path is what the mailbox shows, and the server itself reports.
    if (!lmtp) options.return_paths = return_paths(settings->bounces);
    return std::make_shared<delivery::SmtpChannel>(options, routes, *connector_, *clock_,
                                                   client_tls_, client_tls_verifying_, &traces_);
  };
  Channels channels{{"smtp", smtp(false)},
                    {"lmtp", smtp(true)},
                    {"discard", std::make_shared<delivery::DiscardChannel>()}};
  for (const settings::Channel& channel : settings->channels) {
    // `hold` is done by the queue itself and needs no channel object.
    if (const auto known = channels.find(channel.type); known != channels.end()) {
      channels.emplace(channel.name, known->second);
    }
  }
  return channels;
}

admin::ApiOptions Daemon::api_options() {
  admin::ApiOptions options;
  options.version = MANSIO_VERSION;
  options.reload = [this] { return reload(); };
  options.probe = [this](std::string destination, std::string sender) {
    return probe(std::move(destination), std::move(sender));
  };
  options.traces = &traces_;
  options.bounces = [this] {
    std::vector<std::pair<std::string, std::uint64_t>> all;
    const edge::EdgeStatistics& seen = edge_->statistics();
    for (std::size_t kind = 0; kind < seen.bounces.size(); ++kind) {
      all.emplace_back(to_text(static_cast<dsn::ReportKind>(kind)), seen.bounces.at(kind));
    }
    all.emplace_back("refused", seen.bounces_refused);
    return all;
  };
  options.listeners = [this] {
    std::vector<admin::ListenerStatistics> all;
    const edge::EdgeStatistics& seen = edge_->statistics();
    admin::ListenerStatistics one;
    one.protocol = "smtp";
    for (const Endpoint& endpoint : edge_->endpoints()) {
      one.address += (one.address.empty() ? "" : " ") + endpoint.to_string();
    }
    one.connections = seen.connections_open;
    one.connections_total = seen.connections;
    one.connections_refused = seen.connections_refused;
    one.messages_total = seen.messages_accepted;
    all.push_back(std::move(one));
    if (!settings_->maildrop.path.empty()) {
      admin::ListenerStatistics maildrop;
      maildrop.protocol = "maildrop";
      maildrop.address = settings_->maildrop.path;
      maildrop.connections_refused = maildrop_->statistics().left;
      maildrop.messages_total = maildrop_->statistics().accepted;
      all.push_back(std::move(maildrop));
    }
    return all;
  };
  return options;
}

std::unique_ptr<edge::SmtpEdge> Daemon::make_edge() {
  auto ports = edge::SmtpEdge::ports(*admission_, *clock_, loops_->all(), descriptors_);
  ports.listen = [this](boost::asio::any_io_executor executor, const Endpoint& endpoint,
                        unsigned socket_mode) {
    auto listener = passed_.take(executor, endpoint);
    return listener ? std::move(listener) : net::listen(executor, endpoint, socket_mode);
  };
  return std::make_unique<edge::SmtpEdge>(std::move(ports), settings_);
}

std::unique_ptr<edge::Maildrop> Daemon::make_maildrop() {
  maildrop_loop_ = std::make_unique<Loops>(1);
  maildrop_loop_->start();
  edge::Maildrop::Ports ports{*admission_, [this](QueueId id) { return is_known(*queue_, id); },
                              *clock_, maildrop_loop_->at(0)};
  return std::make_unique<edge::Maildrop>(std::move(ports), settings_);
}

Task<delivery::ProbeReport> Daemon::probe(std::string destination, std::string sender) {
  constexpr std::size_t addresses_max = 10;
  // A reload may replace both while the probe goes on.
  const auto routes = routes_;
  const auto settings = settings_;
  delivery::ConnectionPorts ports;
  ports.connector = connector_.get();
  ports.clock = clock_.get();
  ports.tls = client_tls_;
  ports.tls_verifying = client_tls_verifying_;
  delivery::ConnectionOptions options;
  options.ehlo = settings->server.hostname;
  options.timeouts = settings->timeouts;
  auto probing = delivery::probe(ports, options, *routes, std::move(destination), std::move(sender),
                                 addresses_max);
  co_return co_await std::move(probing);
}

void Daemon::start() {
  spool_ = open_spool(*settings_, *clock_);
  spool_->on_latched([this](std::string why) {
    boost::asio::post(control_, [this, why = std::move(why)]() mutable {
      if (spool_failure_) spool_failure_(std::move(why));
    });
  });

  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  loops_ = std::make_unique<Loops>(settings_->server.loops == 0 ? cores : settings_->server.loops);
  loops_->start();
  connector_ = net::make_connector(*clock_);
  client_tls_ = net::make_tls_context({});
  net::TlsOptions verifying;
  verifying.verify = true;
  client_tls_verifying_ = net::make_tls_context(verifying);

  routes_ = make_routes(settings_);
  Queue::Ports ports{*spool_, *clock_, loops_->all(), [] { return make_system_random(); },
                     make_channels(settings_, routes_)};
  queue_ = std::make_unique<Queue>(std::move(ports), settings_);
  admission_ = std::make_unique<edge::QueueAdmission>(*queue_);
  edge_ = make_edge();
  maildrop_ = make_maildrop();
  admin_ = std::make_unique<admin::AdminServer>(control_.get_executor(), *queue_, *clock_,
                                                api_options());
  admin_->start(*settings_);
  queue_->start();
  edge_->start();
  if (const auto unclaimed = passed_.unclaimed(); !unclaimed.empty()) {
    throw std::runtime_error(
        "the service manager passed the socket " + unclaimed.front() +
        ", which is the address of no [[listener]] with protocol smtp or lmtp");
  }
  maildrop_->start();
  watchdog_ = std::make_unique<Watchdog>(*clock_, control_.get_executor(), loops_->all());
  watchdog_->start();
}

std::string Daemon::reload() {
  if (stopping_) return "the daemon is stopping";  // no listener opens any more
  std::string wrong;
  net::notify_service_manager("RELOADING=1");
  try {
    auto fresh = within_descriptors(settings::load(config_path_), descriptors_);
    const std::string fixed = needs_restart(*settings_, *fresh);
    if (!fixed.empty()) throw std::runtime_error(fixed + " cannot change without a restart");
    auto routes = make_routes(fresh);  // throws before anything has changed
    edge_->reload(fresh);
    maildrop_->reload(fresh);
    queue_->reload(fresh, make_channels(fresh, routes));
    routes_ = std::move(routes);
    settings_ = std::move(fresh);
    log::info("reloaded").field("file", config_path_);
  } catch (const settings::ConfigError& error) {
    for (const settings::Problem& problem : error.problems) {
      wrong += (wrong.empty() ? "" : "\n") + settings::describe_problem(config_path_, problem);
    }
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  if (!wrong.empty()) {
    log::error("reload_refused").field("file", config_path_).field("error", wrong);
  }
  net::notify_service_manager("READY=1");
  return wrong;
}

Task<void> Daemon::stop() {
  stopping_ = true;
  const SteadyTime begin = clock_->steady_now();
  const SteadyTime deadline = begin + settings_->server.drain;
  if (watchdog_) watchdog_->stop();
  if (maildrop_) {
    stage = "maildrop";
    auto stopping = maildrop_->stop(begin + settings_->server.drain / 2);
    co_await std::move(stopping);
  }
  if (edge_) {
    stage = "listeners";
    // Half of the time for slow clients; the rest is for transactions that wait for their last
    // reply.
    auto stopping = edge_->stop(begin + settings_->server.drain / 2);
    co_await std::move(stopping);
  }
  if (queue_) {
    stage = "queue";
    auto stopping = queue_->stop(deadline);
    co_await std::move(stopping);
  }
  if (admin_) {
    stage = "admin";
    auto stopping = admin_->stop(clock_->steady_now() + std::chrono::seconds(1));
    co_await std::move(stopping);
  }
  stage = "spool";
  if (spool_) spool_->stop();
  stage = "loops";
  // Nothing runs on the loops any more; what they hold goes before the spool does.
  if (maildrop_loop_) maildrop_loop_->stop();
  if (loops_) loops_->stop();
}

}  // namespace mansio::daemon
