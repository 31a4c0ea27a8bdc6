#include "admin/openapi.h"

#include <utility>

#include "admin/routes.h"
#include "base/text.h"

namespace mansio::admin {
namespace {

Json type(const char* name) { return Json{{"type", name}}; }

Json optional_type(const char* name) {
  Json names = Json::array();
  names.push_back(name);
  names.push_back("null");
  Json json;
  json["type"] = std::move(names);
  return json;
}

Json time_type(bool optional) {
  Json json = optional ? optional_type("string") : type("string");
  json["format"] = "date-time";
  return json;
}

Json reference(const std::string& name) {
  Json json;
  json["$ref"] = "#/components/schemas/" + name;
  return json;
}

Json array_of(Json items) {
  Json json = type("array");
  json["items"] = std::move(items);
  return json;
}

/// An object; every member is always there.
Json object(std::vector<std::pair<std::string, Json>> members) {
  Json json = type("object");
  json["properties"] = Json::object();
  json["required"] = Json::array();
  for (auto& [name, schema] : members) {
    json["required"].push_back(name);
    json["properties"][name] = std::move(schema);
  }
  return json;
}

/// `schema` with further members after its own.
Json extended(Json schema, std::vector<std::pair<std::string, Json>> members) {
  for (auto& [name, member] : members) {
    if (!schema["properties"].contains(name)) schema["required"].push_back(name);
    schema["properties"][name] = std::move(member);
  }
  return schema;
}

Json reply_schema() {
  Json reply = object({{"code", type("integer")},
                       {"enhanced", type("string")},
                       {"text", type("string")},
                       {"host", type("string")},
                       {"stage", type("string")}});
  Json names = Json::array();
  names.push_back("object");
  names.push_back("null");
  reply["type"] = std::move(names);
  return reply;
}

Json recipient_schema() {
  return object({{"index", type("integer")},
                 {"address", type("string")},
                 {"destination", type("string")},
                 {"binding", type("string")},
                 {"state", type("string")},
                 {"due", time_type(true)},
                 {"tries", type("integer")},
                 {"retry_count", type("integer")},
                 {"last_reply", reference("Reply")}});
}

Json listed_schema() {
  return object({{"id", type("string")},
                 {"reverse_path", type("string")},
                 {"size", type("integer")},
                 {"accepted_at", time_type(false)},
                 {"tenant", type("string")},
                 {"recipients", array_of(reference("Recipient"))}});
}

Json message_schema() {
  Json recipient = extended(recipient_schema(), {{"last_attempt", time_type(true)},
                                                 {"original", type("string")},
                                                 {"original_recipient", type("string")},
                                                 {"notify", optional_type("array")}});
  return extended(listed_schema(), {{"expires_at", time_type(true)},
                                    {"campaign", type("string")},
                                    {"class", type("string")},
                                    {"notice", type("boolean")},
                                    {"subject", type("string")},
                                    {"header_size", type("integer")},
                                    {"body", type("string")},
                                    {"smtputf8", type("boolean")},
                                    {"envelope_id", type("string")},
                                    {"return", type("string")},
                                    {"origin", type("object")},
                                    {"recipients", array_of(std::move(recipient))}});
}

Json history_schema() {
  return object({{"id", type("string")},
                 {"history", array_of(object({{"seq", type("integer")},
                                              {"time", time_type(false)},
                                              {"event", type("string")},
                                              {"recipient", optional_type("integer")},
                                              {"address", type("string")},
                                              {"attempt", type("integer")},
                                              {"outcome", optional_type("string")},
                                              {"cause", optional_type("string")},
                                              {"reply", reference("Reply")},
                                              {"host_address", type("string")},
                                              {"tls", type("string")},
                                              {"next_attempt", time_type(true)},
                                              {"reason", type("string")},
                                              {"actor", type("string")}}))}});
}

Json waits_schema() {
  return object({{"id", type("string")},
                 {"waits", array_of(object({{"recipient", type("integer")},
                                            {"address", type("string")},
                                            {"reason", type("string")},
                                            {"setting", type("string")},
                                            {"since", time_type(true)},
                                            {"next_attempt", time_type(true)},
                                            {"detail", type("string")}}))}});
}

Json totals_schema() {
  std::vector<std::pair<std::string, Json>> members;
  for (const char* name : {"accepted", "delivered", "failed", "expired", "removed", "moved",
                           "queued", "held", "in_doubt", "quarantined", "messages", "octets"}) {
    members.emplace_back(name, type("integer"));
  }
  return object(std::move(members));
}

Json status_schema() {
  return object({{"version", type("string")},
                 {"hostname", type("string")},
                 {"time", time_type(false)},
                 {"started_at", time_type(false)},
                 {"accepting", type("boolean")},
                 {"draining", type("boolean")},
                 {"reason", type("string")},
                 {"spool", object({{"url", type("string")},
                                   {"durable", type("boolean")},
                                   {"health", type("string")},
                                   {"statistics", type("object")}})},
                 {"queue", object({{"sessions", type("integer")},
                                   {"in_flight", type("integer")},
                                   {"window_messages", type("integer")},
                                   {"window_octets", type("integer")},
                                   {"window_memory", type("integer")},
                                   {"lanes_in_memory", type("integer")},
                                   {"lanes_sleeping", type("integer")},
                                   {"deferrals", type("integer")},
                                   {"faults", type("integer")}})},
                 {"listeners", array_of(object({{"protocol", type("string")},
                                                {"address", type("string")},
                                                {"connections", type("integer")},
                                                {"connections_total", type("integer")},
                                                {"connections_refused", type("integer")},
                                                {"messages_total", type("integer")}}))}});
}

Json job_schema() {
  return object({{"job", type("integer")},
                 {"verb", type("string")},
                 {"state", type("string")},
                 {"dry_run", type("boolean")},
                 {"matched", type("integer")},
                 {"changed", type("integer")},
                 {"in_flight", type("integer")},
                 {"messages", type("integer")},
                 {"missing", array_of(type("string"))},
                 {"error", type("string")},
                 {"reason", type("string")},
                 {"actor", type("string")},
                 {"started_at", time_type(false)},
                 {"ended_at", time_type(true)}});
}

void add_lane_schemas(Json& schemas) {
  Json suspension = object({{"destination", type("string")},
                            {"binding", type("string")},
                            {"since", time_type(false)},
                            {"until", time_type(true)},
                            {"reason", type("string")},
                            {"actor", type("string")}});
  Json stopped = suspension;
  stopped["type"] = optional_type("object")["type"];
  schemas["Suspension"] = std::move(suspension);
  schemas["Suspensions"] = object({{"suspensions", array_of(reference("Suspension"))}});
  schemas["Lane"] = object({{"destination", type("string")},
                            {"binding", type("string")},
                            {"state", type("string")},
                            {"queued", type("integer")},
                            {"due", type("integer")},
                            {"in_flight", type("integer")},
                            {"held", type("integer")},
                            {"sessions", type("integer")},
                            {"oldest", time_type(true)},
                            {"trouble", type("string")},
                            {"delayed_until", time_type(true)},
                            {"suspension", std::move(stopped)}});
  schemas["Lanes"] = object({{"total", type("integer")}, {"lanes", array_of(reference("Lane"))}});
  schemas["ShapeRow"] = object({{"destination", type("string")},
                                {"total", type("integer")},
                                {"by_age", array_of(type("integer"))}});
  schemas["Shape"] = object({{"ages", array_of(type("string"))},
                             {"rows", array_of(reference("ShapeRow"))},
                             {"all", reference("ShapeRow")}});
  schemas["Drain"] = object({{"draining", type("boolean")}});
  schemas["Reload"] = object({{"reloaded", type("boolean")}});
}

void add_tool_schemas(Json& schemas) {
  schemas["ProbedAddress"] = object({{"host", type("string")},
                                     {"address", type("string")},
                                     {"preference", optional_type("integer")},
                                     {"ok", type("boolean")},
                                     {"greeting", type("string")},
                                     {"extensions", array_of(type("string"))},
                                     {"tls", type("string")},
                                     {"tls_verified", type("boolean")},
                                     {"tls_trouble", type("string")},
                                     {"trouble", type("string")},
                                     {"seconds", type("number")}});
  schemas["ProbeReport"] = object({{"destination", type("string")},
                                   {"route", type("string")},
                                   {"channel", type("string")},
                                   {"how", type("string")},
                                   {"tls", type("string")},
                                   {"failure", type("string")},
                                   {"failure_is_final", type("boolean")},
                                   {"left_out", array_of(type("string"))},
                                   {"addresses", array_of(reference("ProbedAddress"))}});
  schemas["TraceAsked"] = object({{"trace", type("integer")}, {"destination", type("string")}});
  schemas["TraceLine"] =
      object({{"time", time_type(false)}, {"side", type("string")}, {"text", type("string")}});
  schemas["Trace"] = object({{"state", type("string")},
                             {"lines", array_of(reference("TraceLine"))},
                             {"lines_total", type("integer")},
                             {"cut", type("boolean")}});
  schemas["TraceForgotten"] = object({{"forgotten", type("boolean")}});
}

/// Of a change that is none of messages.
Json fields_schema(const std::vector<Parameter>& fields) {
  Json json = type("object");
  json["properties"] = Json::object();
  for (const Parameter& field : fields) {
    json["properties"][field.name] = type("string");
    json["properties"][field.name]["description"] = field.description;
    if (field.required) json["required"].push_back(field.name);
  }
  json["additionalProperties"] = false;
  return json;
}

/// A body that is accepted and does no harm: what people try first, and the tests use.
Json example_of(const Route& route) {
  Json json = Json::object();
  if (route.action == Action::change) {
    json["everything"] = true;
    json["dry_run"] = true;
  }
  for (const Parameter& field : route.fields) {
    if (field.required) json[field.name] = field.example;
  }
  return json;
}

Json change_request_schema() {
  Json selector = type("object");
  selector["properties"] = Json::object();
  for (const Parameter& parameter : selector_parameters()) {
    Json member = type(parameter.type == ParameterType::count ? "integer" : "string");
    member["description"] = parameter.description;
    selector["properties"][parameter.name] = std::move(member);
  }
  selector["additionalProperties"] = false;
  Json json = type("object");
  json["description"] = "Exactly one of ids, selector and everything.";
  json["properties"]["ids"] = array_of(type("string"));
  json["properties"]["selector"] = std::move(selector);
  json["properties"]["everything"] = type("boolean");
  json["properties"]["dry_run"] = type("boolean");
  json["properties"]["reason"] = type("string");
  json["properties"]["wait"] = type("boolean");
  json["properties"]["wait"]["description"] = "false: 202 and a job at once, instead of the end.";
  json["additionalProperties"] = false;
  return json;
}

Json parameter_json(const std::string& name, const char* in, const char* kind,
                    const std::string& description, bool required) {
  Json json;
  json["name"] = name;
  json["in"] = in;
  json["required"] = required;
  json["description"] = description;
  json["schema"] = type(kind);
  return json;
}

Json body_json(const std::string& content_type, const std::string& schema) {
  const std::string media(trim(std::string_view(content_type).substr(0, content_type.find(';'))));
  Json json;
  json["content"][media]["schema"] = schema.empty() ? type("string") : reference(schema);
  return json;
}

Json response(const std::string& description, const std::string& content_type,
              const std::string& schema) {
  Json json;
  json["description"] = description;
  json.update(body_json(content_type, schema));
  return json;
}

Json operation_json(const Route& route) {
  Json json;
  json["operationId"] = route.name;
  json["summary"] = route.summary;
  Json parameters = Json::array();
  if (route.has_id()) {
    parameters.push_back(parameter_json("id", "path", "string", "Queue id, 26 characters.", true));
  }
  if (route.has_number()) {
    parameters.push_back(parameter_json("number", "path", "integer", "As it was given out.", true));
  }
  for (const Parameter& parameter : route.parameters) {
    const char* kind = parameter.type == ParameterType::count  ? "integer"
                       : parameter.type == ParameterType::flag ? "boolean"
                                                               : "string";
    parameters.push_back(
        parameter_json(parameter.name, "query", kind, parameter.description, parameter.required));
    if (!parameter.example.empty()) parameters.back()["example"] = parameter.example;
  }
  if (!parameters.empty()) json["parameters"] = std::move(parameters);
  if (route.method == "POST") {
    Json& media = json["requestBody"]["content"]["application/json"];
    const bool bulk = route.action == Action::change;
    media["schema"] = bulk ? reference("ChangeRequest") : fields_schema(route.fields);
    media["example"] = example_of(route);
    json["requestBody"]["required"] = true;
  }
  json["responses"]["200"] = response("Done.", route.content_type, route.schema);
  if (route.action == Action::content) {
    json["responses"]["206"] = response("A part of the octets.", route.content_type, "");
  }
  if (route.action == Action::change) {
    json["responses"]["202"] = response("Begun, with wait: false.", "application/json", "Job");
  }
  if (route.action == Action::ready) {
    json["responses"]["503"] = response("Not accepting.", route.content_type, route.schema);
  }
  json["responses"]["default"] = response("Refused.", "application/json", "Error");
  return json;
}

}  // namespace

Json response_schemas() {
  Json schemas;
  Json error = object({{"code", type("string")}, {"message", type("string")}});
  error["properties"]["field"] = type("string");
  schemas["Error"] = object({{"error", std::move(error)}});
  schemas["Reply"] = reply_schema();
  schemas["Recipient"] = recipient_schema();
  schemas["MessageListed"] = listed_schema();
  schemas["MessageList"] =
      object({{"messages", array_of(reference("MessageListed"))}, {"resume", type("string")}});
  schemas["Message"] = message_schema();
  schemas["History"] = history_schema();
  schemas["Waits"] = waits_schema();
  schemas["Totals"] = totals_schema();
  Json tenant = extended(object({{"tenant", type("string")}}), {});
  tenant = extended(std::move(tenant), {{"balanced", type("boolean")}});
  const Json totals = totals_schema();
  for (const auto& [name, schema] : totals["properties"].items()) {
    tenant = extended(std::move(tenant), {{name, schema}});
  }
  schemas["Summary"] = extended(totals_schema(), {{"in_flight", type("integer")},
                                                  {"balanced", type("boolean")},
                                                  {"tenants", array_of(std::move(tenant))}});
  schemas["Status"] = status_schema();
  add_lane_schemas(schemas);
  add_tool_schemas(schemas);
  Json change = object({{"matched", type("integer")}, {"changed", type("integer")}});
  change["properties"]["in_flight"] = type("integer");
  change["properties"]["missing"] = array_of(type("string"));
  schemas["Change"] = std::move(change);
  schemas["Job"] = job_schema();
  schemas["Jobs"] = object({{"jobs", array_of(reference("Job"))}});
  schemas["Probe"] = object({{"status", type("string")}, {"reason", type("string")}});
  schemas["OpenApi"] = type("object");
  return schemas;
}

Json openapi_document(const std::string& version) {
  Json document;
  document["openapi"] = "3.1.0";
  document["info"]["title"] = "Mansio admin API";
  document["info"]["version"] = version;
  document["info"]["description"] =
      "Served on loopback and on a Unix socket, without a token. In a query, + stands for itself.";
  document["paths"] = Json::object();
  for (const Route& route : routes()) {
    document["paths"][route.path][to_lower(route.method)] = operation_json(route);
  }
  document["components"]["schemas"] = response_schemas();
  document["components"]["schemas"]["ChangeRequest"] = change_request_schema();
  return document;
}

}  // namespace mansio::admin
