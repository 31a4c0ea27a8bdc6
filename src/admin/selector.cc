#include "admin/selector.h"

#include <algorithm>
#include <limits>

#include "base/octets.h"
#include "base/text.h"
#include "settings/pattern.h"

namespace mansio::admin {
namespace {

std::optional<std::uint32_t> parse_count(std::string_view text) {
  const auto number = parse_decimal(text);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

const char* expected(ParameterType type) {
  switch (type) {
    case ParameterType::text:
      return "text that is not empty";
    case ParameterType::count:
      return "a whole number";
    case ParameterType::octets:
      return "a size such as 512 or 10MiB";
    case ParameterType::duration:
      return "a duration such as 90s, 15m or 2d";
    case ParameterType::flag:
      return "true or false";
    case ParameterType::state:
      return "one of active, deferred, held, suspended, in_flight, in_doubt, quarantined";
  }
  return "";
}

/// A * that could only be meant as a pattern, where none is understood. In a local part it may be a
/// character like any other (RFC 5321 §4.1.2).
bool has_misplaced_star(const std::string& name, std::string_view value) {
  if (name != "destination" && name != "sender" && name != "recipient") return false;
  const std::size_t at = value.find('@');
  const std::size_t domain = at == value.npos ? (name == "destination" ? 0 : value.size()) : at;
  return value.find('*', std::max<std::size_t>(domain, 1)) != value.npos;
}

/// False: the value is not of its type.
bool set(const std::string& name, const std::string& value, Time now, QueueSelector& selector) {
  spool::Selector& stored = selector.stored;
  if (value.empty()) return false;
  // Lanes are known by A-labels (RFC 6531 §3.7.1).
  if (name == "destination") stored.destination = settings::canonical_pattern(value);
  if (name == "binding") stored.binding = value;
  if (name == "sender") stored.sender = value;
  if (name == "recipient") stored.recipient = value;
  if (name == "tenant") stored.tenant = value;
  if (name == "subject") stored.subject = value;
  if (name == "state") {
    selector.state = parse_living_state(value);
    if (!selector.state) return false;
  }
  if (name == "older_than") {
    const auto age = parse_duration(value);
    if (!age || *age > now.time_since_epoch()) return false;
    stored.accepted_before = now - *age;
  }
  if (name == "tries_min" || name == "retries_min") {
    const auto count = parse_count(value);
    if (!count) return false;
    (name == "tries_min" ? stored.tries_min : stored.retries_min) = *count;
  }
  if (name == "size_min") {
    const auto octets = parse_octets(value);
    if (!octets) return false;
    stored.size_min = *octets;
  }
  return true;
}

}  // namespace

const std::vector<Parameter>& selector_parameters() {
  static const std::vector<Parameter> parameters = {
      {"destination", ParameterType::text,
       "Routing domain of the recipient; a leading * matches any beginning."},
      {"binding", ParameterType::text, "Binding of the recipient's lane."},
      {"sender", ParameterType::text,
       "Reverse-path; <> for the null path; a leading * matches any beginning."},
      {"recipient", ParameterType::text,
       "Address of the recipient; a leading * matches any beginning."},
      {"tenant", ParameterType::text, "Tenant of the message."},
      {"state", ParameterType::state, "State of the recipient at this moment."},
      {"older_than", ParameterType::duration, "Accepted longer ago than this."},
      {"tries_min", ParameterType::count, "Tried at least so often."},
      {"retries_min", ParameterType::count,
       "Deferred at least so often: finds mail that defies delivery."},
      {"size_min", ParameterType::octets, "At least so large."},
      {"subject", ParameterType::text, "Part of the subject, upper and lower case alike."},
  };
  return parameters;
}

std::optional<FieldError> parse_selector(const std::map<std::string, std::string>& values, Time now,
                                         QueueSelector& selector) {
  for (const auto& [name, value] : values) {
    const Parameter* parameter = nullptr;
    for (const Parameter& candidate : selector_parameters()) {
      if (candidate.name == name) parameter = &candidate;
    }
    if (parameter == nullptr) return FieldError{name, "there is no such selector"};
    if (has_misplaced_star(name, value)) {
      return FieldError{name, "expected a * at the beginning only, such as *@example.com"};
    }
    if (!set(name, value, now, selector)) {
      return FieldError{name, std::string("expected ") + expected(parameter->type)};
    }
  }
  return std::nullopt;
}

std::optional<FieldError> text_values(const Json& object, std::string_view where,
                                      std::map<std::string, std::string>& values) {
  if (!object.is_object()) return FieldError{std::string(where), "expected an object"};
  for (const auto& [name, value] : object.items()) {
    if (value.is_string()) {
      values[name] = value.get<std::string>();
    } else if (value.is_number_unsigned()) {
      values[name] = std::to_string(value.get<std::uint64_t>());
    } else {
      return FieldError{std::string(where) + "." + name, "expected text or a whole number"};
    }
  }
  return std::nullopt;
}

}  // namespace mansio::admin
