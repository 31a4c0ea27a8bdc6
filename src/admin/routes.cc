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

/// A change that is none of messages: POST with named values in the body.
Route post(Action action, std::string path, std::string name, std::string summary,
           std::string schema, std::vector<Parameter> fields) {
  Route route =
      get(action, std::move(path), std::move(name), std::move(summary), std::move(schema));
  route.method = "POST";
  route.fields = std::move(fields);
  return route;
}

Route erase(Action action, std::string path, std::string name, std::string summary,
            std::string schema) {
  Route route =
      get(action, std::move(path), std::move(name), std::move(summary), std::move(schema));
  route.method = "DELETE";
  return route;
}

Parameter required(std::string name, std::string description, std::string example) {
  return Parameter{std::move(name), ParameterType::text, std::move(description), true,
                   std::move(example)};
}

Parameter optional(std::string name, ParameterType type, std::string description) {
  return Parameter{std::move(name), type, std::move(description), false, {}};
}

/// Bulk verbs that were not waited for.
void add_jobs(std::vector<Route>& all) {
  all.push_back(get(Action::jobs, "/v1/jobs", "jobs",
                    "Bulk verbs at work and those that ended within the hour.", "Jobs"));
  all.push_back(get(Action::job, "/v1/jobs/{number}", "job",
                    "How far a bulk verb is: counts while it runs, and its end.", "Job"));
  all.push_back(erase(Action::cancel_job, "/v1/jobs/{number}", "cancel_job",
                      "Ends a bulk verb after the page it is at; what is done stays done.", "Job"));
}

/// Lanes, and what stops them.
void add_lanes(std::vector<Route>& all) {
  Route lanes = get(Action::lanes, "/v1/lanes", "lanes",
                    "The lanes (destination and binding) with mail, the fullest first.", "Lanes");
  lanes.parameters = {
      optional("destination", ParameterType::text, "Only the lanes of this destination."),
      optional("binding", ParameterType::text, "Only the lanes of this binding."),
      optional("suspended", ParameterType::flag, "true: only lanes that an operator stopped."),
      optional("limit", ParameterType::count, "At most so many lanes; all if not given.")};
  all.push_back(std::move(lanes));

  Route shape =
      get(Action::shape, "/v1/shape", "shape",
          "Recipients by destination and age, of those that match every given selector.", "Shape");
  shape.parameters = selector_parameters();
  shape.parameters.push_back(
      optional("limit", ParameterType::count, "Destinations by name, 1 to 1000; 20 if not given."));
  shape.parameters.push_back(optional(
      "ages", ParameterType::text, "Upper bounds of the columns: durations separated by commas."));
  all.push_back(std::move(shape));

  all.push_back(get(Action::suspensions, "/v1/suspensions", "suspensions",
                    "What operators stopped, until when and why.", "Suspensions"));
  all.push_back(post(
      Action::suspend, "/v1/suspensions", "suspend",
      "Starts no new attempt for a destination; replaces its earlier suspension.", "Suspension",
      {required("destination", "A domain, \"*.suffix\" or \"*\".", "suspended.example"),
       optional("binding", ParameterType::text, "Only lanes of this binding; all if not given."),
       optional("for", ParameterType::duration, "How long; until it is resumed if not given."),
       optional("reason", ParameterType::text, "Why; for people.")}));
  Route resume = erase(Action::resume, "/v1/suspensions", "resume",
                       "Ends a suspension, and says what it was.", "Suspension");
  resume.parameters = {required("destination", "As it was suspended.", "suspended.example"),
                       optional("binding", ParameterType::text, "As it was suspended.")};
  all.push_back(std::move(resume));
}

/// The daemon as a whole.
void add_control(std::vector<Route>& all) {
  all.push_back(post(Action::drain, "/v1/drain", "drain",
                     "Accepts nothing new while everything queued is delivered.", "Drain",
                     {optional("reason", ParameterType::text, "Why; clients and probes see it.")}));
  all.push_back(post(Action::undrain, "/v1/undrain", "undrain", "Accepts again.", "Drain", {}));
  all.push_back(post(Action::reload, "/v1/reload", "reload",
                     "Reads the configuration again; 409 says what is wrong with it, and the old "
                     "settings stay.",
                     "Reload", {}));
}

/// Looking at destinations.
void add_tools(std::vector<Route>& all) {
  all.push_back(
      post(Action::probe, "/v1/probe", "probe",
           "Connects to the hosts of a destination without sending mail, and says what they said.",
           "ProbeReport",
           {required("destination", "A domain or an address literal.", "probed.example"),
            optional("sender", ParameterType::text, "Reverse-path, where routes depend on it.")}));
  all.push_back(post(Action::ask_trace, "/v1/traces", "ask_trace",
                     "Asks for the dialogue of the next session to a destination.", "TraceAsked",
                     {required("destination", "A domain.", "traced.example")}));
  Route trace =
      get(Action::trace, "/v1/traces/{number}", "trace",
          "The dialogue as far as it goes. A trace that nobody reads is forgotten.", "Trace");
  trace.parameters = {optional("from", ParameterType::count, "First line; 0 if not given.")};
  all.push_back(std::move(trace));
  all.push_back(erase(Action::forget_trace, "/v1/traces/{number}", "forget_trace",
                      "Forgets a trace, also one that still waits.", "TraceForgotten"));
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
  add_jobs(all);
  add_lanes(all);
  add_control(all);
  add_tools(all);
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
    if (wanted[i] == "{id}" || wanted[i] == "{number}") {
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
  if (method == "HEAD") method = "GET";  // RFC 9110 §9.3.2; the server leaves the body out
  bool exact = false;                    // the path is a fixed one: {id} does not apply to it
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
    if (route.method == "GET") match.allow += ", HEAD";
  }
  return match;
}

}  // namespace mansio::admin
