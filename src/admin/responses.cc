#include "admin/responses.h"

#include "base/text.h"

namespace mansio::admin {

net::HttpResponse json_response(const Json& json, int status) {
  net::HttpResponse response;
  response.status = status;
  response.body = dump(json) + "\n";
  response.headers["X-Content-Type-Options"] = "nosniff";
  response.headers["Cache-Control"] = "no-store";
  return response;
}

net::HttpResponse error_response(int status, std::string_view code, std::string_view message,
                                 std::string_view field) {
  return json_response(error_json(code, message, field), status);
}

net::HttpResponse field_response(const FieldError& error) {
  return error_response(400, "invalid", error.message, error.field);
}

net::HttpResponse spool_response(const ErrorCode& error) {
  return error_response(503, "spool", "the spool cannot be read: " + error.message());
}

std::string actor_of(const net::HttpRequest& request) {
  return request.is_unix ? "operator unix" : "operator " + request.peer.address;
}

bool take_number(std::map<std::string, std::string>& values, const char* name, std::uint64_t least,
                 std::uint64_t most, std::uint64_t& number) {
  const auto found = values.find(name);
  if (found == values.end()) return true;
  const auto parsed = parse_decimal(found->second);
  if (!parsed || *parsed < least || *parsed > most) return false;
  number = *parsed;
  values.erase(found);
  return true;
}

std::string take_text(std::map<std::string, std::string>& values, const char* name) {
  const auto found = values.find(name);
  if (found == values.end()) return {};
  std::string text = std::move(found->second);
  values.erase(found);
  return text;
}

}  // namespace mansio::admin
