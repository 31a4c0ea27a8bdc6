#include "admin/request.h"

#include <algorithm>

#include "base/text.h"
#include "net/http_server.h"

namespace mansio::admin {
namespace {

constexpr std::size_t ids_max = 100000;          // about 3 MB of JSON
constexpr std::size_t reason_octets_max = 1000;  // goes to the history of every recipient
constexpr std::size_t value_octets_max = 1000;   // of the other changes

std::optional<FieldError> parse_ids(const Json& json, std::vector<QueueId>& ids) {
  if (!json.is_array() || json.empty()) return FieldError{"ids", "expected a list of queue ids"};
  if (json.size() > ids_max) return FieldError{"ids", "more than 100000 ids in one request"};
  for (const Json& element : json) {
    const auto id = element.is_string() ? QueueId::parse(element.get<std::string>()) : std::nullopt;
    if (!id) return FieldError{"ids", "not a queue id: " + dump(element)};
    ids.push_back(*id);
  }
  return std::nullopt;
}

std::optional<FieldError> parse_flag(const Json& json, const char* name, bool& value) {
  if (!json.is_boolean()) return FieldError{name, "expected true or false"};
  value = json.get<bool>();
  return std::nullopt;
}

std::optional<FieldError> parse_reason(const Json& json, std::string& reason) {
  if (!json.is_string()) return FieldError{"reason", "expected text"};
  reason = json.get<std::string>();
  if (reason.size() > reason_octets_max) return FieldError{"reason", "longer than 1000 octets"};
  return std::nullopt;
}

std::optional<FieldError> parse_member(const std::string& name, const Json& value, Time now,
                                       ChangeRequest& change) {
  if (name == "ids") return parse_ids(value, change.selector.stored.ids);
  if (name == "everything")
    return parse_flag(value, "everything", change.selector.stored.everything);
  if (name == "dry_run") return parse_flag(value, "dry_run", change.dry_run);
  if (name == "wait") return parse_flag(value, "wait", change.wait);
  if (name == "reason") return parse_reason(value, change.reason);
  if (name == "selector") {
    std::map<std::string, std::string> values;
    if (auto error = text_values(value, "selector", values)) return error;
    auto error = parse_selector(values, now, change.selector);
    if (error) error->field = "selector." + error->field;
    return error;
  }
  return FieldError{name, "there is no such field"};
}

}  // namespace

std::optional<FieldError> parse_query(std::string_view query,
                                      std::map<std::string, std::string>& values) {
  if (query.empty()) return std::nullopt;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    std::string name = net::percent_decode(pair.substr(0, equals));
    std::string value =
        equals == std::string_view::npos ? "" : net::percent_decode(pair.substr(equals + 1));
    if (value.find('\0') != std::string::npos) return FieldError{name, "a NUL in the value"};
    if (!values.emplace(name, std::move(value)).second) return FieldError{name, "given twice"};
  }
  return std::nullopt;
}

std::optional<FieldError> parse_change(std::string_view body, Time now, ChangeRequest& change) {
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return FieldError{"", "the body is not JSON"};
  if (!json.is_object()) return FieldError{"", "the body is not a JSON object"};
  for (const auto& [name, value] : json.items()) {
    if (auto error = parse_member(name, value, now, change)) return error;
  }
  const int ways = (json.contains("ids") ? 1 : 0) + (json.contains("selector") ? 1 : 0) +
                   (change.selector.stored.everything ? 1 : 0);
  if (ways == 0) return FieldError{"selector", "give ids, a selector, or everything: true"};
  if (ways > 1) return FieldError{"selector", "give only one of ids, selector and everything"};
  if (json.contains("selector") && json["selector"].empty()) {
    return FieldError{"selector", "it selects nothing; to mean all, give everything: true"};
  }
  return std::nullopt;
}

std::optional<FieldError> parse_body(std::string_view body, const std::vector<Parameter>& fields,
                                     std::map<std::string, std::string>& values) {
  if (!trim(body).empty()) {
    const Json json = Json::parse(body, nullptr, false);
    if (json.is_discarded()) return FieldError{"", "the body is not JSON"};
    if (!json.is_object()) return FieldError{"", "the body is not a JSON object"};
    if (auto error = text_values(json, "", values)) {
      error->field = error->field.substr(1);  // the dot after the name of the body
      return error;
    }
  }
  for (const auto& [name, value] : values) {
    const auto known = [&name = name](const Parameter& field) { return field.name == name; };
    if (std::none_of(fields.begin(), fields.end(), known)) {
      return FieldError{name, "there is no such field"};
    }
    if (value.size() > value_octets_max) return FieldError{name, "longer than 1000 octets"};
    if (value.find('\0') != std::string::npos) return FieldError{name, "a NUL in the value"};
  }
  for (const Parameter& field : fields) {
    if (!field.required) continue;
    const auto given = values.find(field.name);
    if (given == values.end() || given->second.empty()) {
      return FieldError{field.name, "is required"};
    }
  }
  return std::nullopt;
}

std::optional<std::vector<Duration>> parse_ages(std::string_view text) {
  std::vector<Duration> ages;
  for (const std::string_view part : split(text, ',')) {
    const auto age = parse_duration(trim(part));
    if (!age || *age <= (ages.empty() ? Duration::zero() : ages.back())) return std::nullopt;
    ages.push_back(*age);
  }
  if (ages.size() > 20) return std::nullopt;
  return ages;
}

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return "";
    const std::string_view rest = host.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return "";
    return to_lower(host.substr(0, end + 1));
  }
  return to_lower(host.substr(0, host.find(':')));
}

bool is_own_host(std::string_view host, const std::vector<std::string>& own) {
  const std::string name = host_name(host);
  if (name == "127.0.0.1" || name == "localhost" || name == "[::1]") return true;
  for (const std::string& candidate : own) {
    if (!name.empty() && name == to_lower(candidate)) return true;
  }
  return false;
}

}  // namespace mansio::admin
