#include "delivery/route.h"

#include <utility>

#include "delivery/failure_policy.h"

namespace mansio::delivery {

SettingsRoutes::SettingsRoutes(std::shared_ptr<const settings::Settings> settings)
    : settings_(std::move(settings)) {}

RouteResult SettingsRoutes::find(const std::string& destination) const {
  RouteResult result;
  const settings::Route* found = settings::route_for(*settings_, destination);
  if (found == nullptr || found->next_hop.empty()) {
    Event event;
    event.stage = Stage::route;
    event.cause = Cause::local;
    event.reply.enhanced = {4, 4, 4};
    event.reply.text =
        found == nullptr
            ? "no [route] matches " + destination
            : "MX delivery is not available in this version: set next_hop in [route.\"" +
                  found->pattern + "\"]";
    result.failure = to_disposition(classify(event), event);
    return result;
  }
  for (const Endpoint& hop : found->next_hop) {
    RouteHost host;
    host.name = hop.address;
    host.endpoint = hop;
    if (!hop.is_unix() && hop.port == 0) host.endpoint.port = found->port;
    result.route.hosts.push_back(std::move(host));
  }
  result.route.tls = found->tls == "none"       ? TlsPolicy::none
                     : found->tls == "required" ? TlsPolicy::required
                                                : TlsPolicy::opportunistic;
  result.route.tls_verify = found->tls_verify;
  result.route.auth = found->auth;
  return result;
}

Task<RouteResult> SettingsRoutes::route(std::string destination) { co_return find(destination); }

std::string SettingsRoutes::describe(const std::string& destination) const {
  const RouteResult result = find(destination);
  if (result.failure) return result.failure->reply.text;
  std::string text;
  for (const RouteHost& host : result.route.hosts) {
    if (!text.empty()) text += ", ";
    text += host.endpoint.to_string();
  }
  return text;
}

}  // namespace mansio::delivery
