// Lanes and what stops them, the queue by age, and the daemon as a whole.
#include <algorithm>

#include "admin/api.h"
#include "admin/responses.h"
#include "base/log.h"
#include "settings/pattern.h"

namespace mansio::admin {
namespace {

constexpr std::size_t shape_rows = 20;
constexpr std::size_t shape_rows_max = 1000;

std::vector<Duration> usual_ages() {
  std::vector<Duration> ages;
  for (int minutes = 5; minutes <= 1280; minutes *= 2)
    ages.push_back(std::chrono::minutes(minutes));
  return ages;
}

net::HttpResponse not_suspended(const std::string& destination, const std::string& binding) {
  return error_response(
      404, "missing",
      destination + (binding.empty() ? "" : " with binding " + binding) + " is not suspended");
}

net::HttpResponse not_durable(spool::Status status) {
  return error_response(503, "spool",
                        std::string("the spool did not take it: ") + spool::to_text(status));
}

}  // namespace

Task<net::HttpResponse> AdminApi::lanes(Values values) {
  std::uint64_t limit = UINT64_MAX;
  if (!take_number(values, "limit", 1, UINT32_MAX, limit)) {
    co_return error_response(400, "invalid", "expected a whole number that is not 0", "limit");
  }
  const std::string suspended = take_text(values, "suspended");
  if (!suspended.empty() && suspended != "true" && suspended != "false") {
    co_return error_response(400, "invalid", "expected true or false", "suspended");
  }
  const std::string destination = settings::canonical_pattern(take_text(values, "destination"));
  const std::string binding = take_text(values, "binding");
  std::vector<LaneStatus> all = co_await queue_.lanes();
  std::erase_if(all, [&](const LaneStatus& lane) {
    return (!destination.empty() && lane.lane.destination != destination) ||
           (!binding.empty() && lane.lane.binding != binding) ||
           (suspended == "true" && !lane.suspension);
  });
  std::stable_sort(all.begin(), all.end(),
                   [](const LaneStatus& a, const LaneStatus& b) { return a.queued > b.queued; });
  Json json;
  json["total"] = all.size();
  json["lanes"] = Json::array();
  if (all.size() > limit) all.resize(limit);
  for (const LaneStatus& lane : all) json["lanes"].push_back(lane_json(lane));
  co_return json_response(json);
}

Task<net::HttpResponse> AdminApi::shape(Values values) {
  std::uint64_t rows = shape_rows;
  if (!take_number(values, "limit", 1, shape_rows_max, rows)) {
    co_return error_response(400, "invalid", "expected a number from 1 to 1000", "limit");
  }
  std::vector<Duration> ages = usual_ages();
  if (const std::string wanted = take_text(values, "ages"); !wanted.empty()) {
    auto parsed = parse_ages(wanted);
    if (!parsed) {
      co_return error_response(400, "invalid", "expected up to 20 growing durations: 5m,1h,1d",
                               "ages");
    }
    ages = std::move(*parsed);
  }
  QueueSelector selector;
  if (const auto error = parse_selector(values, clock_.now(), selector)) {
    co_return field_response(*error);
  }
  if (selector.stored.selects_nothing()) selector.stored.everything = true;
  auto counting = queue_.shape(std::move(selector), std::move(ages), rows);
  const Result<Shape> shape = co_await std::move(counting);
  if (!shape) co_return spool_response(shape.error());
  co_return json_response(shape_json(*shape));
}

net::HttpResponse AdminApi::suspensions() const {
  Json json;
  json["suspensions"] = Json::array();
  for (const spool::Suspension& suspension : queue_.suspensions()) {
    json["suspensions"].push_back(suspension_json(suspension));
  }
  return json_response(json);
}

Task<net::HttpResponse> AdminApi::suspend(Values values, std::string actor) {
  spool::Suspension suspension;
  suspension.destination = settings::canonical_pattern(take_text(values, "destination"));
  if (!settings::valid_pattern(suspension.destination)) {
    co_return error_response(400, "invalid", "expected a domain, \"*.suffix\" or \"*\"",
                             "destination");
  }
  suspension.binding = take_text(values, "binding");
  suspension.since = clock_.now();
  suspension.reason = take_text(values, "reason");
  suspension.actor = std::move(actor);
  if (const std::string length = take_text(values, "for"); !length.empty()) {
    const auto duration = parse_duration(length);
    // Beyond a century there is no end either, and adding must not overflow.
    if (!duration || *duration <= Duration::zero() || *duration > std::chrono::hours(24 * 36500)) {
      co_return error_response(400, "invalid", "expected a duration such as 30m, 2h or 3d", "for");
    }
    suspension.until = suspension.since + *duration;
  }
  auto storing = queue_.suspend(suspension);
  const spool::Status status = co_await std::move(storing);
  if (status != spool::Status::committed) co_return not_durable(status);
  co_return json_response(suspension_json(suspension));
}

Task<net::HttpResponse> AdminApi::resume(Values values, std::string actor) {
  const std::string destination = settings::canonical_pattern(take_text(values, "destination"));
  const std::string binding = take_text(values, "binding");
  Json ended;
  for (const spool::Suspension& suspension : queue_.suspensions()) {
    if (suspension.destination == destination && suspension.binding == binding) {
      ended = suspension_json(suspension);
    }
  }
  auto storing = queue_.resume(destination, binding, std::move(actor));
  const spool::Status status = co_await std::move(storing);
  if (status == spool::Status::missing || (status == spool::Status::committed && ended.is_null())) {
    co_return not_suspended(destination, binding);
  }
  if (status != spool::Status::committed) co_return not_durable(status);
  co_return json_response(ended);
}

net::HttpResponse AdminApi::drain(bool on, const std::string& reason, const std::string& actor) {
  queue_.drain(on, reason, actor);
  Json json;
  json["draining"] = queue_.draining();
  return json_response(json);
}

net::HttpResponse AdminApi::reload(const std::string& actor) {
  if (!options_.reload) {
    return error_response(501, "unavailable", "there is no configuration to read again");
  }
  log::info("operator").field("verb", "reload").field("actor", actor);
  const std::string error = options_.reload();
  if (!error.empty()) return error_response(409, "configuration", error);
  Json json;
  json["reloaded"] = true;
  return json_response(json);
}

Task<net::HttpResponse> AdminApi::control(const Route& route, Values values, std::string actor) {
  switch (route.action) {
    case Action::suspend:
      co_return co_await suspend(std::move(values), std::move(actor));
    case Action::drain:
    case Action::undrain:
      co_return drain(route.action == Action::drain, take_text(values, "reason"), actor);
    case Action::reload:
      co_return reload(actor);
    case Action::probe:
      co_return co_await probe(std::move(values));
    default:
      break;
  }
  co_return ask_trace(values);
}

}  // namespace mansio::admin
