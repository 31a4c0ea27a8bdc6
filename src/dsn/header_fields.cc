#include "dsn/header_fields.h"

#include <algorithm>

#include "base/text.h"

namespace mansio::dsn {
namespace {

/// Octets that a field name may have (RFC 5322 §3.6.8).
bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < 127 && c != ':'; });
}

std::string_view take_line(std::string_view& text) {
  const std::size_t newline = text.find('\n');
  std::string_view line = text.substr(0, newline);
  text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Takes "name=value" or "name=\"value\"" from the front, up to behind its semicolon.
Field take_parameter(std::string_view& text) {
  Field found;
  const std::size_t end_of_name = std::min(text.find_first_of("=;"), text.size());
  found.name = to_lower(trim(text.substr(0, end_of_name)));
  text.remove_prefix(end_of_name);
  if (text.starts_with('=')) {
    text.remove_prefix(1);
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    if (text.starts_with('"')) {
      std::size_t i = 1;
      for (; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        found.value += text[i];
      }
      text.remove_prefix(std::min(i + 1, text.size()));
    } else {
      found.value = trim(text.substr(0, std::min(text.find_first_of("; \t"), text.size())));
    }
  }
  const std::size_t semicolon = text.find(';');
  text.remove_prefix(semicolon == std::string_view::npos ? text.size() : semicolon + 1);
  return found;
}

}  // namespace

std::vector<Field> take_fields(std::string_view& block) {
  std::vector<Field> fields;
  bool in_field = false;  // a continuation belongs to what was kept
  while (!block.empty()) {
    const std::string_view line = take_line(block);
    if (line.empty()) break;
    if (line.front() == ' ' || line.front() == '\t') {
      if (!in_field) continue;
      std::string& value = fields.back().value;
      const std::string_view more = trim(line);
      if (more.empty() || value.size() + 1 + more.size() > field_octets_max) continue;
      if (!value.empty()) value += ' ';
      value += more;
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string_view name = trim(line.substr(0, colon));
    in_field = colon != std::string_view::npos && is_name(name) && fields.size() < fields_max;
    if (!in_field) continue;
    fields.push_back(
        {std::string(name), std::string(trim(line.substr(colon + 1)).substr(0, field_octets_max))});
  }
  return fields;
}

std::string_view field_value(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (equals_ignoring_case(field.name, name)) return field.value;
  }
  return {};
}

std::string media_type(std::string_view content_type) {
  std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
  std::erase_if(type, [](char c) { return c == ' ' || c == '\t'; });
  return type;
}

std::string parameter(std::string_view content_type, std::string_view name) {
  const std::size_t semicolon = content_type.find(';');
  if (semicolon == std::string_view::npos) return {};
  content_type.remove_prefix(semicolon + 1);
  std::string joined;
  while (!content_type.empty()) {
    Field found = take_parameter(content_type);
    if (found.name == name) return std::move(found.value);
    if (found.name.size() > name.size() && found.name.starts_with(name) &&
        found.name[name.size()] == '*') {
      joined += found.value;
    }
  }
  return joined;
}

}  // namespace mansio::dsn
