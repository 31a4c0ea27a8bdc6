#include "delivery/probe.h"

#include <utility>

#include "base/text.h"

namespace mansio::delivery {
namespace {

/// The lines of an EHLO reply after the first, which is the greeting.
std::vector<std::string> extensions_of(const std::string& hello) {
  std::vector<std::string> out;
  const std::vector<std::string_view> lines = split(hello, '\n');
  for (std::size_t i = 1; i < lines.size(); ++i) out.emplace_back(escape(lines[i]));
  return out;
}

std::string trouble_of(const Event& event) {
  std::string text = to_text(event.stage);
  if (event.cause != Cause::reply) text += std::string(" (") + to_text(event.cause) + ")";
  return text + ": " + event.reply.to_string();
}

Task<ProbedAddress> probe_address(const ConnectionPorts& ports, const ConnectionOptions& options,
                                  const Route& route, RouteHost host) {
  ProbedAddress probed;
  probed.host = host.name;
  probed.address = host.endpoint.to_string();
  probed.preference = host.preference;
  const SteadyTime begin = ports.clock->steady_now();
  const bool use_tls = route.tls != TlsPolicy::none;
  auto trying = try_host(ports, options, route, host, use_tls, nullptr);
  HostAttempt attempt = co_await std::move(trying);
  if (attempt.retry_without_tls) {
    probed.tls_trouble = trouble_of(attempt.event);
    auto again = try_host(ports, options, route, host, false, nullptr);
    attempt = co_await std::move(again);
  }
  probed.took = std::chrono::duration_cast<Duration>(ports.clock->steady_now() - begin);
  probed.greeting = escape(attempt.greeting);
  probed.extensions = extensions_of(attempt.hello);
  probed.ok = attempt.session != nullptr;
  if (!attempt.session) {
    probed.trouble = trouble_of(attempt.event);
    co_return probed;
  }
  const TlsInfo& tls = attempt.session->tls();
  probed.tls = tls.cipher.empty() ? tls.version : tls.version + " " + tls.cipher;
  probed.tls_verified = tls.verified;
  if (use_tls && tls.version.empty() && probed.tls_trouble.empty()) {
    probed.tls_trouble = attempt.session->offered().starttls ? "STARTTLS was offered and refused"
                                                             : "STARTTLS is not offered";
  }
  auto quitting = attempt.session->quit();
  co_await std::move(quitting);
  co_return probed;
}

}  // namespace

Task<ProbeReport> probe(ConnectionPorts ports, ConnectionOptions options, RouteSource& routes,
                        std::string destination, std::string sender, std::size_t addresses_max) {
  ProbeReport report;
  report.destination = destination;
  auto routing = routes.route(routes.lane_for(destination, sender));
  RouteResult found = co_await std::move(routing);
  report.route = found.pattern;
  report.channel = found.channel;
  report.how = found.route.hosts.empty() ? std::string() : found.how;
  report.tls = to_text(found.route.tls);
  report.left_out = std::move(found.left_out);
  if (found.failure) {
    report.failure = found.failure->reply.to_string();
    report.failure_is_final = found.failure->outcome == Outcome::failed;
    co_return report;
  }
  options.lmtp = found.lmtp;
  for (RouteHost& host : order_for_attempt(std::move(found.route.hosts))) {
    if (report.addresses.size() == addresses_max) {
      report.left_out.push_back(host.name + " " + host.endpoint.to_string() + ": not probed");
      continue;
    }
    auto probing = probe_address(ports, options, found.route, std::move(host));
    report.addresses.push_back(co_await std::move(probing));
  }
  co_return report;
}

}  // namespace mansio::delivery
