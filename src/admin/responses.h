// The forms that answers of the admin API have. Internal to admin/.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "admin/json.h"
#include "admin/request.h"
#include "net/http_server.h"

namespace mansio::admin {

net::HttpResponse json_response(const Json& json, int status = 200);
net::HttpResponse error_response(int status, std::string_view code, std::string_view message,
                                 std::string_view field = {});
/// 400 that names the field.
net::HttpResponse field_response(const FieldError& error);
/// 503 for a spool that cannot be read.
net::HttpResponse spool_response(const ErrorCode& error);

/// Who asks, for history and log: "operator unix", "operator 127.0.0.1".
std::string actor_of(const net::HttpRequest& request);

/// Takes a value that a route has beside the selector; false: not a number within the bounds.
bool take_number(std::map<std::string, std::string>& values, const char* name, std::uint64_t least,
                 std::uint64_t most, std::uint64_t& number);
/// Takes a value out; empty if it is not there.
std::string take_text(std::map<std::string, std::string>& values, const char* name);

}  // namespace mansio::admin
