#include "admin/api.h"

#include "admin/openapi.h"
#include "admin/request.h"
#include "admin/responses.h"
#include "base/log.h"
#include "base/text.h"

namespace mansio::admin {
namespace {

constexpr std::size_t page_messages = 100;
constexpr std::size_t page_messages_max = 1000;
constexpr std::uint64_t content_octets_max = 8ull << 20;  // in memory per request, not per message

net::HttpResponse missing_response(const QueueId& id) {
  return error_response(404, "missing",
                        "no message with id " + id.to_string() +
                            " is queued; if it was, \"mansio history " + id.to_string() +
                            "\" tells how it ended");
}

/// Reads fail for a message that is gone, or for a spool that is in trouble.
net::HttpResponse read_failed(const ErrorCode& error, const QueueId& id) {
  if (error == spool::make_error_code(spool::Errc::missing)) return missing_response(id);
  if (error == spool::make_error_code(spool::Errc::corrupt)) {
    return error_response(500, "corrupt", "message " + id.to_string() + " is damaged: quarantined");
  }
  return spool_response(error);
}

std::string probe_text(bool accepting, const std::string& reason) {
  return accepting || !reason.empty() ? reason : "not accepting";
}

std::string origin_host(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? "" : to_lower(origin.substr(scheme + 3));
}

/// A page of another site cannot send this type without asking first.
bool is_json(const net::HttpRequest& request) {
  const std::string_view type = request.header("content-type");
  return to_lower(trim(type.substr(0, type.find(';')))) == "application/json";
}

}  // namespace

AdminApi::AdminApi(boost::asio::any_io_executor executor, Queue& queue, Clock& clock,
                   ApiOptions options)
    : queue_(queue),
      clock_(clock),
      options_(std::move(options)),
      started_at_(clock.now()),
      jobs_(std::move(executor), queue, clock) {}

Task<void> AdminApi::stop() { co_await jobs_.stop(); }

Task<net::HttpResponse> AdminApi::handle(net::HttpRequest request) {
  if (auto refusal = refuse_caller(request)) co_return std::move(*refusal);
  const std::string_view target = request.target;
  const std::size_t question = target.find('?');
  const Match match = find_route(request.method, target.substr(0, question));
  if (match.route == nullptr) {
    if (match.allow.empty()) co_return error_response(404, "not_found", "there is no such path");
    auto response = error_response(405, "method", request.method + " is not allowed here");
    response.headers["Allow"] = match.allow;
    co_return response;
  }
  const Route& route = *match.route;

  Values values;
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  if (const auto error = parse_query(query, values)) co_return field_response(*error);
  for (const auto& [name, value] : values) {
    if (!route.accepts(name)) {
      co_return error_response(400, "invalid", "there is no such parameter here", name);
    }
  }
  QueueId id;
  if (route.has_id()) {
    const auto parsed = QueueId::parse(match.id);
    if (!parsed) co_return error_response(400, "invalid", "not a queue id", "id");
    id = *parsed;
  }
  for (const Parameter& parameter : route.parameters) {
    if (parameter.required && values[parameter.name].empty()) {
      co_return error_response(400, "invalid", "is required", parameter.name);
    }
  }
  const std::uint64_t number = route.has_number() ? parse_decimal(match.id).value_or(0) : 0;
  co_return co_await dispatch(route, id, number, std::move(values), request);
}

std::optional<net::HttpResponse> AdminApi::refuse_caller(const net::HttpRequest& request) const {
  if (!request.is_unix && !request.is_loopback) {
    return error_response(403, "forbidden", "only loopback and the Unix socket are served");
  }
  const std::string_view host = request.header("host");
  // A page of another site reaches loopback through a name of its own; no browser speaks to a
  // socket.
  if (!request.is_unix && !is_own_host(host, options_.hosts)) {
    return error_response(421, "misdirected", "the Host header names another host", "Host");
  }
  const std::string_view origin = request.header("origin");
  const std::string_view site = request.header("sec-fetch-site");
  const bool foreign = (!origin.empty() && origin_host(origin) != to_lower(host)) ||
                       site == "cross-site" || site == "same-site";
  if (foreign) return error_response(403, "forbidden", "a request of another origin", "Origin");
  return std::nullopt;
}

Task<net::HttpResponse> AdminApi::dispatch(const Route& route, QueueId id, std::uint64_t number,
                                           Values values, const net::HttpRequest& request) {
  if (route.method == "POST" && !is_json(request)) {
    co_return error_response(415, "content_type", "expected application/json", "Content-Type");
  }
  if (route.method == "POST" && route.action != Action::change) {
    Values given;
    if (const auto error = parse_body(request.body, route.fields, given)) {
      co_return field_response(*error);
    }
    co_return co_await control(route, std::move(given), actor_of(request));
  }
  switch (route.action) {
    case Action::status:
      co_return co_await status();
    case Action::summary:
      co_return co_await summary();
    case Action::list:
      co_return co_await list(std::move(values));
    case Action::show:
      co_return co_await show(id);
    case Action::content:
      co_return co_await content(id, std::move(values));
    case Action::history:
      co_return co_await history(id);
    case Action::why:
      co_return co_await why(id);
    case Action::change:
      co_return co_await change(route, request);
    case Action::jobs:
      co_return jobs();
    case Action::job:
      co_return job(number, false);
    case Action::cancel_job:
      co_return job(number, true);
    case Action::lanes:
      co_return co_await lanes(std::move(values));
    case Action::shape:
      co_return co_await shape(std::move(values));
    case Action::suspensions:
      co_return suspensions();
    case Action::resume:
      co_return co_await resume(std::move(values), actor_of(request));
    case Action::trace:
      co_return trace(number, std::move(values));
    case Action::forget_trace:
      co_return forget_trace(number);
    case Action::openapi:
      co_return json_response(openapi_document(options_.version));
    case Action::metrics:
      co_return co_await metrics();
    case Action::ready:
      co_return ready();
    default:
      break;
  }
  // What is left is Action::alive: POSTs have been answered above.
  Json alive;
  alive["status"] = "ok";
  alive["reason"] = "";
  co_return json_response(alive);
}

Task<net::HttpResponse> AdminApi::status() {
  const QueueStatistics statistics = co_await queue_.statistics();
  const auto settings = queue_.settings();
  std::string reason;
  const bool accepting = queue_.accepting(&reason);
  Json json;
  json["version"] = options_.version;
  json["hostname"] = settings->server.hostname;
  json["time"] = time_json(clock_.now());
  json["started_at"] = time_json(started_at_);
  json["accepting"] = accepting;
  json["draining"] = queue_.draining();
  json["reason"] = accepting ? "" : probe_text(accepting, reason);
  Json numbers = Json::object();
  for (const auto& [name, value] : queue_.spool().statistics()) numbers[name] = value;
  json["spool"]["url"] = settings->spool.url;
  json["spool"]["durable"] = !settings->spool.url.starts_with("memory:");
  json["spool"]["health"] = to_text(queue_.spool().health());
  json["spool"]["statistics"] = std::move(numbers);
  json["queue"]["sessions"] = statistics.sessions;
  json["queue"]["in_flight"] = statistics.in_flight;
  json["queue"]["window_messages"] = statistics.window_messages;
  json["queue"]["window_octets"] = statistics.window_octets;
  json["queue"]["window_memory"] = statistics.window_memory;
  json["queue"]["lanes_in_memory"] = statistics.lanes_in_memory;
  json["queue"]["lanes_sleeping"] = statistics.lanes_sleeping;
  json["queue"]["deferrals"] = statistics.deferrals;
  json["queue"]["faults"] = statistics.faults;
  json["listeners"] = Json::array();
  const auto listeners =
      options_.listeners ? options_.listeners() : std::vector<ListenerStatistics>();
  for (const ListenerStatistics& listener : listeners) {
    Json one;
    one["protocol"] = listener.protocol;
    one["address"] = listener.address;
    one["connections"] = listener.connections;
    one["connections_total"] = listener.connections_total;
    one["connections_refused"] = listener.connections_refused;
    one["messages_total"] = listener.messages_total;
    json["listeners"].push_back(std::move(one));
  }
  co_return json_response(json);
}

Task<net::HttpResponse> AdminApi::summary() {
  const QueueStatistics statistics = co_await queue_.statistics();
  // One snapshot, so that the whole is the sum of the tenants shown.
  const std::vector<spool::TenantTotals> tenants = queue_.tenant_totals();
  spool::Totals totals;
  for (const spool::TenantTotals& tenant : tenants) totals += tenant.totals;
  co_return json_response(summary_json(totals, tenants, statistics.in_flight));
}

Task<net::HttpResponse> AdminApi::list(Values values) {
  std::uint64_t limit = page_messages;
  if (!take_number(values, "limit", 1, page_messages_max, limit)) {
    co_return error_response(400, "invalid", "expected a number from 1 to 1000", "limit");
  }
  std::string resume;
  if (const auto found = values.find("resume"); found != values.end()) {
    resume = found->second;
    values.erase(found);
  }
  QueueSelector selector;
  if (const auto error = parse_selector(values, clock_.now(), selector)) {
    co_return field_response(*error);
  }
  if (selector.stored.selects_nothing()) selector.stored.everything = true;
  const auto page = co_await queue_.list(std::move(selector), std::move(resume), limit);
  if (!page) {
    co_return spool_response(page.error());
  }
  Json json;
  json["messages"] = Json::array();
  for (const ListedMessage& listed : page->messages)
    json["messages"].push_back(listed_json(listed));
  json["resume"] = page->resume;
  co_return json_response(json);
}

Task<Result<std::optional<ListedMessage>>> AdminApi::find(QueueId id) {
  QueueSelector selector;
  selector.stored.ids.push_back(id);
  auto page = co_await queue_.list(std::move(selector), std::string(), 1);
  if (!page) co_return page.error();
  std::optional<ListedMessage> found;
  if (!page->messages.empty()) found = std::move(page->messages.front());
  co_return found;
}

Task<net::HttpResponse> AdminApi::show(QueueId id) {
  const auto found = co_await find(id);
  if (!found) co_return read_failed(found.error(), id);
  if (!*found) co_return missing_response(id);
  co_return json_response(message_json(**found));
}

Task<net::HttpResponse> AdminApi::content(QueueId id, Values values) {
  std::uint64_t offset = 0;
  std::uint64_t length = content_octets_max;
  if (!take_number(values, "offset", 0, UINT64_MAX, offset)) {
    co_return error_response(400, "invalid", "expected a whole number", "offset");
  }
  if (!take_number(values, "length", 1, content_octets_max, length)) {
    co_return error_response(400, "invalid", "expected a number from 1 to 8388608", "length");
  }
  const auto stored = co_await queue_.get(id);
  if (!stored) co_return read_failed(stored.error(), id);
  if (*stored == nullptr) co_return missing_response(id);
  const std::uint64_t size = (*stored)->message.content.facts.size;
  if (offset > size) {
    auto response = error_response(416, "range", "the message is shorter", "offset");
    response.headers["Content-Range"] = "bytes */" + std::to_string(size);
    co_return response;
  }
  auto octets = co_await queue_.content(id, offset, length);
  if (!octets) co_return read_failed(octets.error(), id);

  net::HttpResponse response;
  response.body = std::move(*octets);
  // Hostile octets: never rendered, never guessed at.
  response.content_type = "text/plain";
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Content-Disposition"] = "attachment; filename=\"" + id.to_string() + ".eml\"";
  response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox";
  response.headers["Cache-Control"] = "no-store";
  if (response.body.size() < size) {
    response.status = 206;
    const std::uint64_t end = offset + response.body.size();
    response.headers["Content-Range"] = response.body.empty() ? "bytes */" + std::to_string(size)
                                                              : "bytes " + std::to_string(offset) +
                                                                    "-" + std::to_string(end - 1) +
                                                                    "/" + std::to_string(size);
  }
  co_return response;
}

Task<net::HttpResponse> AdminApi::history(QueueId id) {
  const auto entries = co_await queue_.history(id);
  const bool unknown = entries ? entries->empty()
                               : entries.error() == spool::make_error_code(spool::Errc::missing);
  if (!entries && !unknown) co_return read_failed(entries.error(), id);
  if (unknown) {
    co_return error_response(404, "missing",
                             "no message with id " + id.to_string() +
                                 " is known; history is kept for " +
                                 mansio::to_text(queue_.settings()->history_keep));
  }
  Json json;
  json["id"] = id.to_string();
  json["history"] = Json::array();
  for (const spool::HistoryEntry& entry : *entries) json["history"].push_back(history_json(entry));
  co_return json_response(json);
}

Task<net::HttpResponse> AdminApi::why(QueueId id) {
  const auto waits = co_await queue_.why(id);
  if (!waits) co_return read_failed(waits.error(), id);
  if (waits->empty()) co_return missing_response(id);
  Json json;
  json["id"] = id.to_string();
  json["waits"] = Json::array();
  for (const Wait& wait : *waits) json["waits"].push_back(wait_json(wait));
  co_return json_response(json);
}

Task<net::HttpResponse> AdminApi::metrics() {
  MetricsInput input;
  input.queue = co_await queue_.statistics();
  input.version = options_.version;
  input.started_at = started_at_;
  input.accepting = queue_.accepting();
  input.health = queue_.spool().health();
  input.tenants = queue_.tenant_totals();
  if (options_.listeners) input.listeners = options_.listeners();
  if (options_.bounces) input.bounces = options_.bounces();
  input.spool = queue_.spool().statistics();
  input.log_lines_dropped = log::dropped();
  net::HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = metrics_text(input);
  co_return response;
}

net::HttpResponse AdminApi::ready() const {
  std::string reason;
  const bool accepting = queue_.accepting(&reason);
  Json json;
  json["status"] = accepting ? "accepting" : "not accepting";
  json["reason"] = accepting ? "" : probe_text(accepting, reason);
  return json_response(json, accepting ? 200 : 503);
}

}  // namespace mansio::admin
