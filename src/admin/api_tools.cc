// Looking at destinations: what their hosts say without mail, and what is said with it.
#include "admin/api.h"
#include "admin/responses.h"
#include "settings/pattern.h"

namespace mansio::admin {
namespace {

net::HttpResponse unavailable(const char* what) {
  return error_response(501, "unavailable", std::string(what) + " is not available here");
}

net::HttpResponse no_such_trace() {
  return error_response(404, "missing", "there is no such trace, or it is forgotten");
}

}  // namespace

Task<net::HttpResponse> AdminApi::probe(Values values) {
  if (!options_.probe) co_return unavailable("probing");
  const std::string sender = take_text(values, "sender");
  auto probing = options_.probe(settings::canonical_pattern(take_text(values, "destination")),
                                sender == "<>" ? std::string() : sender);
  const delivery::ProbeReport report = co_await std::move(probing);
  co_return json_response(probe_json(report));
}

net::HttpResponse AdminApi::ask_trace(const Values& values) {
  if (options_.traces == nullptr) return unavailable("tracing");
  const std::string destination = settings::canonical_pattern(values.at("destination"));
  const std::uint64_t number = options_.traces->ask(destination);
  if (number == 0) {
    return error_response(503, "busy", "too many traces at a time; forget one, or wait");
  }
  Json json;
  json["trace"] = number;
  json["destination"] = destination;
  return json_response(json);
}

net::HttpResponse AdminApi::trace(std::uint64_t number, Values values) {
  if (options_.traces == nullptr) return unavailable("tracing");
  std::uint64_t from = 0;
  if (!take_number(values, "from", 0, UINT32_MAX, from)) {
    return error_response(400, "invalid", "expected a whole number", "from");
  }
  const auto found = options_.traces->find(number);
  if (found == nullptr) return no_such_trace();
  return json_response(trace_json(found->view(from)));
}

net::HttpResponse AdminApi::forget_trace(std::uint64_t number) {
  if (options_.traces == nullptr) return unavailable("tracing");
  if (options_.traces->find(number) == nullptr) return no_such_trace();
  options_.traces->forget(number);
  Json json;
  json["forgotten"] = true;
  return json_response(json);
}

}  // namespace mansio::admin
