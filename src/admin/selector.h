// The words in which a request names messages: declared once, for queries, JSON bodies, the API's
// description and the tests. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "admin/json.h"

namespace mansio::admin {

enum class ParameterType : std::uint8_t { text, count, octets, duration, state, flag };

struct Parameter {
  std::string name;
  ParameterType type = ParameterType::text;
  std::string description;
  bool required = false;
  std::string example{};
};

/// What is wrong with a request, and which field is to blame.
struct FieldError {
  std::string field;
  std::string message;
};

/// destination binding sender recipient tenant state older_than tries_min retries_min size_min
/// subject
const std::vector<Parameter>& selector_parameters();

/// Fills `selector` from named values. Names that are no selector parameter are refused. A state of
/// the moment narrows `stored` to the durable state beneath it. Without any value the selector
/// selects nothing.
std::optional<FieldError> parse_selector(const std::map<std::string, std::string>& values, Time now,
                                         QueueSelector& selector);

/// The members of a JSON object as text: strings and unsigned integers, nothing else.
std::optional<FieldError> text_values(const Json& object, std::string_view where,
                                      std::map<std::string, std::string>& values);

}  // namespace mansio::admin
