// Bulk verbs over messages: waited for, or as jobs.
#include "admin/api.h"
#include "admin/responses.h"

namespace mansio::admin {

Task<net::HttpResponse> AdminApi::change(const Route& route, const net::HttpRequest& request) {
  ChangeRequest wanted;
  if (const auto error = parse_change(request.body, clock_.now(), wanted)) {
    co_return field_response(*error);
  }
  const std::string actor = actor_of(request);
  if (!wanted.wait) {
    const auto job = jobs_.start(*route.verb, route.name, std::move(wanted), actor);
    if (job == nullptr) {
      co_return error_response(503, "busy", "too many bulk verbs are at work; see /v1/jobs");
    }
    auto response = json_response(job_json(*job), 202);
    response.headers["Location"] = "/v1/jobs/" + std::to_string(job->number);
    co_return response;
  }
  auto looking = missing_ids(queue_, wanted.selector.stored.ids);
  const std::vector<QueueId> missing = co_await std::move(looking);
  const BulkResult result = co_await queue_.apply(*route.verb, std::move(wanted.selector),
                                                  wanted.reason, actor, wanted.dry_run);
  if (!result.error.empty()) {
    co_return error_response(503, "spool",
                             "stopped after " + std::to_string(result.changed) + " of " +
                                 std::to_string(result.matched) + " recipients: " + result.error);
  }
  Json json;
  json["matched"] = result.matched;
  json["changed"] = result.changed;
  if (result.in_flight != 0) json["in_flight"] = result.in_flight;
  if (!missing.empty()) {
    json["missing"] = Json::array();
    for (const QueueId& id : missing) json["missing"].push_back(id.to_string());
  }
  co_return json_response(json);
}

net::HttpResponse AdminApi::jobs() {
  Json json;
  json["jobs"] = Json::array();
  for (const auto& job : jobs_.all()) json["jobs"].push_back(job_json(*job));
  return json_response(json);
}

net::HttpResponse AdminApi::job(std::uint64_t number, bool cancel) {
  const auto found = cancel ? jobs_.cancel(number) : jobs_.find(number);
  if (found == nullptr) {
    return error_response(404, "missing", "there is no such job, or it is forgotten");
  }
  return json_response(job_json(*found));
}

}  // namespace mansio::admin
