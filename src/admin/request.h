// Reading of what a client sent: query, body of a change, Host and Origin. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/selector.h"

namespace mansio::admin {

/// The values of a query ("a=1&b=2"), percent-decoded; '+' stands for itself, since addresses have
/// it. Refused: a name given twice, a NUL.
std::optional<FieldError> parse_query(std::string_view query,
                                      std::map<std::string, std::string>& values);

/// The body of a change: exactly one of `ids`, `selector`, `everything`, and `dry_run`, `reason`,
/// `wait`.
struct ChangeRequest {
  QueueSelector selector;
  bool dry_run = false;
  bool wait = true;  ///< false: answer at once with a job
  std::string reason;
};

std::optional<FieldError> parse_change(std::string_view body, Time now, ChangeRequest& change);

/// The body of another change: an object with values for `fields`, all those that are required; an
/// empty body is an empty object.
std::optional<FieldError> parse_body(std::string_view body, const std::vector<Parameter>& fields,
                                     std::map<std::string, std::string>& values);

/// Bounds of columns from "5m,10m,1h": one to twenty durations, each longer than the one before.
std::optional<std::vector<Duration>> parse_ages(std::string_view text);

/// The name in a Host header, lower case, without port: "[::1]:80" gives "[::1]". Empty: malformed.
std::string host_name(std::string_view host);
/// True for loopback's own names and for `own`.
bool is_own_host(std::string_view host, const std::vector<std::string>& own);

}  // namespace mansio::admin
