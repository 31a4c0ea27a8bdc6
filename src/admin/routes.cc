#include "admin/routes.h"

#include "base/text.h"
#include "net/http_server.h"

namespace mansio::admin {
namespace {

Route get(Action action, std::string path, std::string name, std::string summary,
          std::string schema) {
  Route route;
  route.method = "GET";
  route.path = std::move(path);
  route.action = action;
  route.name = std::move(name);
  route.summary = std::move(summary);
  route.schema = std::move(schema);
  return route;
}

Route change(spool::Verb verb, const std::string& name, std::string summary) {
  Route route;
  route.method = "POST";
  route.path = "/v1/messages/" + name;
  route.action = Action::change;
  route.name = name;
  route.summary = std::move(summary);
  route.schema = "Change";
  route.verb = verb;
  return route;
}

std::vector<Route> make_routes() {
  std::vector<Route> all;
  all.push_back(get(Action::status, "/v1/status", "status",
                    "Version, health, listeners and what the engine is doing.", "Status"));
  all.push_back(get(Action::summary, "/v1/summary", "summary",
                    "Exact totals of recipients, in all and per tenant, and whether they balance.",
                    "Summary"));
  Route list = get(Action::list, "/v1/messages", "list",
                   "Messages with a recipient in the queue that matches every given selector.",
                   "MessageList");
  list.parameters = selector_parameters();
  list.parameters.push_back(
      {"limit", ParameterType::count, "Messages per page, 1 to 1000; 100 if not given."});
  list.parameters.push_back(
      {"resume", ParameterType::text, "The page's beginning: `resume` of the page before."});
  all.push_back(std::move(list));

  all.push_back(change(spool::Verb::make_due, "retry", "Makes recipients due now."));
  all.push_back(change(spool::Verb::hold, "hold", "Stops recipients until they are released."));
  all.push_back(change(spool::Verb::release, "release",
                       "Gives held, in-doubt and quarantined recipients back to the queue."));
  all.push_back(
      change(spool::Verb::fail, "bounce", "Fails recipients and reports it to the sender."));
  all.push_back(change(spool::Verb::remove, "remove", "Deletes recipients without a report."));

  all.push_back(get(Action::show, "/v1/messages/{id}", "show",
                    "One message with all that is known of it, without its octets.", "Message"));
  Route content = get(Action::content, "/v1/messages/{id}/content", "content",
                      "The octets of a message; 206 and Content-Range where there are more.", "");
  content.content_type = "text/plain";
  content.parameters.push_back({"offset", ParameterType::count, "First octet; 0 if not given."});
  content.parameters.push_back(
      {"length", ParameterType::count, "At most so many octets; never more than 8 MiB at once."});
  all.push_back(std::move(content));
  all.push_back(get(Action::history, "/v1/messages/{id}/history", "history",
                    "Every event and attempt of every recipient, oldest first.", "History"));
  all.push_back(get(Action::why, "/v1/messages/{id}/why", "why",
                    "What each recipient waits for, which setting caused it, and until when.",
                    "Waits"));
  all.push_back(get(Action::lanes, "/v1/lanes", "lanes",
                    "The lanes (destination and binding) with work, and their troubles.", "Lanes"));
  all.push_back(
      get(Action::openapi, "/v1/openapi.json", "openapi", "This description.", "OpenApi"));

  Route metrics = get(Action::metrics, "/metrics", "metrics",
                      "Counters and gauges in the text format of Prometheus.", "");
  metrics.content_type = "text/plain; version=0.0.4; charset=utf-8";
  all.push_back(std::move(metrics));
  all.push_back(
      get(Action::alive, "/healthz", "healthz", "200 while the process answers.", "Probe"));
  all.push_back(get(Action::ready, "/readyz", "readyz",
                    "200 while mail is accepted, else 503 with the reason.", "Probe"));
  return all;
}

/// True if `path` fits `pattern`; fills `id`. Words win over {id} because they stand first in the
/// table.
bool fits(std::string_view pattern, std::string_view path, std::string& id) {
  const auto wanted = split(pattern, '/');
  const auto given = split(path, '/');
  if (wanted.size() != given.size()) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::string segment = net::percent_decode(given[i]);
    if (wanted[i] == "{id}") {
      id = std::move(segment);
    } else if (wanted[i] != segment) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool Route::accepts(std::string_view parameter) const {
  for (const Parameter& candidate : parameters) {
    if (candidate.name == parameter) return true;
  }
  return false;
}

const std::vector<Route>& routes() {
  static const std::vector<Route> all = make_routes();
  return all;
}

Match find_route(std::string_view method, std::string_view path) {
  Match match;
  bool exact = false;  // the path is a fixed one: {id} does not apply to it
  for (const Route& route : routes()) {
    std::string id;
    if (exact && route.has_id()) continue;
    if (!fits(route.path, path, id)) continue;
    exact = exact || !route.has_id();
    if (route.method == method) {
      match.route = &route;
      match.id = std::move(id);
      match.allow.clear();
      return match;
    }
    match.allow += (match.allow.empty() ? "" : ", ") + route.method;
  }
  return match;
}

}  // namespace mansio::admin
