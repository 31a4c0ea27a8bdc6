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

/// The body of a change: exactly one of `ids`, `selector`, `everything`, and `dry_run`, `reason`.
struct ChangeRequest {
  QueueSelector selector;
  bool dry_run = false;
  std::string reason;
};

std::optional<FieldError> parse_change(std::string_view body, Time now, ChangeRequest& change);

/// The name in a Host header, lower case, without port: "[::1]:80" gives "[::1]". Empty: malformed.
std::string host_name(std::string_view host);
/// True for loopback's own names and for `own`.
bool is_own_host(std::string_view host, const std::vector<std::string>& own);

}  // namespace mansio::admin
