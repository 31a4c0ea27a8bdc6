#include "delivery/connection.h"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <map>
#include <set>
#include <utility>

#include "base/log.h"

namespace mansio::delivery {
namespace {

constexpr std::size_t hosts_per_attempt = 5;
constexpr std::size_t addresses_per_name = 3;
/// With those that cannot be reached from here.
constexpr std::size_t addresses_per_attempt = 20;

smtp::ClientTimeouts client_timeouts(const settings::Timeouts& timeouts) {
  smtp::ClientTimeouts result;
  result.greeting = timeouts.greeting;
  result.hello = timeouts.ehlo;
  result.mail = timeouts.mail;
  result.recipient = timeouts.rcpt;
  result.data = timeouts.data;
  result.block = timeouts.block;
  result.final_dot = timeouts.final_dot;
  result.quit = timeouts.quit;
  return result;
}

/// Errors of connect(2), bind(2) and socket(2) that say something about this machine or its
/// settings and nothing about the host: they count as nobody's try.
bool is_ours(const ErrorCode& error) {
  namespace errc = boost::system::errc;
  for (const auto ours :
       {errc::too_many_files_open, errc::too_many_files_open_in_system, errc::no_buffer_space,
        errc::not_enough_memory, errc::address_not_available, errc::address_in_use,
        errc::address_family_not_supported, errc::permission_denied, errc::operation_not_permitted,
        errc::filename_too_long, errc::invalid_argument, errc::network_down}) {
    if (error == ours) return true;
  }
  return false;
}

/// No address of that family can be reached from this machine, or from the source set for it.
bool is_closed_family(const ErrorCode& error) {
  namespace errc = boost::system::errc;
  return error == errc::network_unreachable || error == errc::address_family_not_supported;
}

Event connect_event(const RouteHost& host, const ErrorCode& error) {
  Event event;
  event.stage = Stage::connect;
  event.reply.text = "cannot connect to " + host.endpoint.to_string() + ": " + error.message();
  if (error == boost::asio::error::timed_out) {
    event.cause = Cause::timeout;
  } else if (error.category() == boost::asio::error::get_netdb_category() ||
             error.category() == boost::asio::error::get_addrinfo_category()) {
    event.cause = Cause::dns;
  } else if (is_ours(error)) {
    event.cause = Cause::local;
  } else {
    event.cause = Cause::network;
  }
  return event;
}

std::string literal_of(const Endpoint& local) {
  if (local.is_unix() || local.address.empty()) return "[127.0.0.1]";
  return local.is_ipv6() ? "[IPv6:" + local.address + "]" : "[" + local.address + "]";
}

/// STARTTLS as the policy wants it; on success the session is greeted again under TLS. Fills
/// `attempt` and gives false if the session cannot be used.
Task<bool> secure(HostAttempt& attempt, smtp::ClientSession& session, const Route& route,
                  std::shared_ptr<TlsContext> context, std::string name) {
  const bool required = route.tls == TlsPolicy::required;
  if (!session.offered().starttls || context == nullptr) {
    if (!required) co_return true;
    attempt.event.stage = Stage::starttls;
    attempt.event.cause = Cause::policy;
    attempt.event.reply.text = context == nullptr
                                   ? "TLS is required, but there is no TLS context"
                                   : "TLS is required, but the host does not offer STARTTLS";
    co_return false;
  }
  smtp::Answer answer = co_await session.start_tls(*context, std::move(name));
  if (answer.replied() && !answer.positive() && !required && session.usable()) {
    co_return true;  // offered and then refused: go on in plain text, as if it was not offered
  }
  if (!answer.positive()) {
    attempt.event = event_of(answer);
    attempt.retry_without_tls = !required && answer.cause == Cause::tls;
    co_return false;
  }
  answer = co_await session.hello();
  attempt.hello = answer.reply.text;
  if (answer.positive()) co_return true;
  attempt.event = event_of(answer);
  co_return false;
}

void note(const std::shared_ptr<Trace>& trace, Clock& clock, std::string text) {
  if (trace) trace->add({clock.now(), TraceLine::Side::note, std::move(text)});
}

std::string name_with_address(const RouteHost& host) {
  if (host.name == host.endpoint.address) return host.endpoint.to_string();
  std::string text = host.name;
  if (host.preference) text += " (preference " + std::to_string(*host.preference) + ")";
  return text + ", " + host.endpoint.to_string();
}

/// False: what went wrong follows from this route's wishes (TLS, certificates, a login), and other
/// routes that use the host may have others.
bool concerns_the_host(const Event& event, const Route& route) {
  if (event.cause == Cause::policy || event.stage == Stage::auth) return false;
  return event.stage != Stage::starttls || route.tls != TlsPolicy::required;
}

}  // namespace

Task<HostAttempt> try_host(const ConnectionPorts& ports, const ConnectionOptions& options,
                           const Route& route, const RouteHost& host, bool use_tls,
                           std::shared_ptr<Trace> trace) {
  HostAttempt attempt;
  note(trace, *ports.clock, "connecting to " + name_with_address(host));
  const SteadyTime deadline = ports.clock->steady_now() + options.timeouts.connect;
  Result<std::unique_ptr<Stream>> stream =
      co_await ports.connector->connect(host.endpoint, options.source, deadline);
  if (!stream) {
    // Being cancelled says nothing about the host, whatever the error is called.
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none ||
        stream.error() == boost::asio::error::operation_aborted) {
      throw boost::system::system_error(boost::asio::error::operation_aborted);
    }
    attempt.event = connect_event(host, stream.error());
    attempt.unreachable = is_closed_family(stream.error());
    note(trace, *ports.clock, attempt.event.reply.text);
    co_return attempt;
  }
  smtp::ClientOptions client;
  client.lmtp = options.lmtp;
  client.ehlo = options.ehlo.empty() ? literal_of((*stream)->local()) : options.ehlo;
  client.timeouts = client_timeouts(options.timeouts);
  std::unique_ptr<Stream> used = std::move(*stream);
  if (trace) used = traced(std::move(used), trace, *ports.clock);
  auto session =
      std::make_unique<smtp::ClientSession>(std::move(used), std::move(client), *ports.clock);

  bool good = false;
  smtp::Answer answer = co_await session->greet();
  if (answer.replied()) attempt.greeting = answer.reply.text;
  if (answer.positive()) {
    answer = co_await session->hello();
    attempt.hello = answer.reply.text;
  }
  if (answer.positive()) {
    good = true;
    if (use_tls) {
      std::shared_ptr<TlsContext> context =
          route.tls == TlsPolicy::required && route.tls_verify ? ports.tls_verifying : ports.tls;
      good = co_await secure(attempt, *session, route, std::move(context), host.name);
    }
    if (good && route.auth) {
      answer = co_await session->authenticate(route.auth->user, route.auth->password);
      good = answer.positive();
      if (!good) attempt.event = event_of(answer);
    }
  } else {
    attempt.event = event_of(answer);
  }
  if (!good) {
    co_await session->quit();
    co_return attempt;
  }
  attempt.session = std::move(session);
  co_return attempt;
}

std::vector<RouteHost> order_for_attempt(std::vector<RouteHost> hosts) {
  std::map<std::string, std::size_t> taken;
  std::stable_partition(hosts.begin(), hosts.end(), [&taken](const RouteHost& host) {
    return ++taken[host.name] <= addresses_per_name;
  });
  return hosts;
}

void note_no_host(const ConnectionPorts& ports, const std::string& destination,
                  const Disposition& failure) {
  if (ports.traces == nullptr) return;
  note(ports.traces->take(destination), *ports.clock, "no host: " + failure.reply.to_string());
}

Event event_of(const smtp::Answer& answer) {
  Event event;
  event.stage = answer.stage;
  event.cause = answer.cause;
  event.reply = answer.reply;
  return event;
}

Task<Connected> open_connection(ConnectionPorts ports, ConnectionOptions options, Route route) {
  Connected connected;
  Verdict worst;
  Event worst_event;
  bool tried = false;
  bool worst_unreachable = false;
  std::size_t tries = 0;
  std::set<std::string> unheard;  // host names; a refusal for good needs the word of all of them
  for (const RouteHost& host : route.hosts) unheard.insert(host.name);
  const auto trace = ports.traces == nullptr ? nullptr : ports.traces->take(options.destination);

  std::vector<RouteHost> hosts =
      order_for_attempt(ports.hosts->in_order(std::move(route.hosts), ports.clock->steady_now()));
  if (hosts.size() > addresses_per_attempt) hosts.resize(addresses_per_attempt);
  for (std::size_t i = 0; i < hosts.size() && tries < hosts_per_attempt; ++i) {
    const RouteHost& host = hosts[i];
    const bool plain = route.tls == TlsPolicy::none ||
                       (route.tls == TlsPolicy::opportunistic &&
                        ports.hosts->avoid_tls(host.endpoint, ports.clock->steady_now()));
    HostAttempt attempt = co_await try_host(ports, options, route, host, !plain, trace);
    if (attempt.retry_without_tls) {
      ports.hosts->tls_failed(host.endpoint, ports.clock->steady_now());
      log::warning("tls_failed").field("host", host.name).field("text", attempt.event.reply.text);
      attempt = co_await try_host(ports, options, route, host, false, trace);
    }
    if (attempt.session) {
      ports.hosts->worked(host.endpoint);
      connected.host = host;
      connected.address = attempt.session->peer().to_string();
      const TlsInfo& tls = attempt.session->tls();
      connected.tls = tls.cipher.empty() ? tls.version : tls.version + " " + tls.cipher;
      connected.session = std::move(attempt.session);
      co_return connected;
    }
    if (concerns_the_host(attempt.event, route)) {
      ports.hosts->failed(host.endpoint, ports.clock->steady_now());
    }
    if (!attempt.unreachable) {
      ++tries;
      unheard.erase(host.name);
    }
    attempt.event.more_hosts = i + 1 < hosts.size() && tries < hosts_per_attempt;
    const Verdict verdict = classify(attempt.event);
    log::info("host_failed")
        .field("host", host.name)
        .field("address", host.endpoint.to_string())
        .field("stage", to_text(attempt.event.stage))
        .field("cause", to_text(attempt.event.cause))
        .field("code", verdict.reply.code)
        .field("text", verdict.reply.text);
    // An address that this machine cannot reach says nothing about the host: what another one said
    // stands before it, whatever it was.
    const bool stands_back = tried && attempt.unreachable && !worst_unreachable;
    if (!tried || (worst_unreachable && !attempt.unreachable) ||
        (!stands_back && outweighs(verdict, worst))) {
      worst = verdict;
      worst_event = attempt.event;
      worst_unreachable = attempt.unreachable;
      connected.host = host;
      connected.address = host.endpoint.to_string();
    }
    tried = true;
    if (!verdict.try_next_host) break;
  }
  if (!tried) {
    worst_event.stage = Stage::route;
    worst_event.cause = Cause::local;
    worst_event.reply.text = "the route names no host";
    worst = classify(worst_event);
  }
  if (worst.outcome == Outcome::failed && !unheard.empty()) {
    worst.outcome = Outcome::deferred;
    worst.delay_destination = true;
  }
  connected.trouble = to_disposition(worst, worst_event);
  connected.trouble.host = connected.host.name;
  connected.trouble.address = connected.address;
  co_return connected;
}

}  // namespace mansio::delivery
