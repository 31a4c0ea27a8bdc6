#include "mansio/json_text.h"

#include <fmt/format.h>

namespace mansio::cli {

std::string text_of(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name)) return "";
  const Json& value = object[name];
  if (value.is_string()) return printable(value.get<std::string>());
  return value.is_null() ? "" : value.dump();
}

std::uint64_t number_of(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name].is_number_unsigned()
             ? object[name].get<std::uint64_t>()
             : 0;
}

bool flag_of(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name] == true;
}

const Json& list_of(const Json& object, const char* name) {
  static const Json empty = Json::array();
  return object.is_object() && object.contains(name) && object[name].is_array() ? object[name]
                                                                                : empty;
}

std::string time_of(const Json& object, const char* name) {
  std::string text = text_of(object, name);
  const std::size_t dot = text.find('.');
  return dot == std::string::npos ? text : text.substr(0, dot) + "Z";
}

void append_pair(std::string& text, const char* name, const std::string& value) {
  if (!value.empty()) text += fmt::format("{:<14}{}\n", name, value);
}

}  // namespace mansio::cli
