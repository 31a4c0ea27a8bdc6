#include "settings/value.h"

#include <fmt/format.h>

#include "base/octets.h"

namespace mansio::settings {

std::string expectation(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a string";
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "a whole number";
    case Kind::number:
      return "a number";
    case Kind::duration:
      return "a duration such as \"90s\", \"15m\" or \"5d\"";
    case Kind::size:
      return "a size such as \"50KiB\" or \"10MiB\"";
    case Kind::texts:
      return "a list of strings";
    case Kind::durations:
      return "a list of durations such as [\"15m\", \"1h\"]";
  }
  return "a value";
}

std::string kind_name(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "string";
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "whole number";
    case Kind::number:
      return "number";
    case Kind::duration:
      return "duration";
    case Kind::size:
      return "size";
    case Kind::texts:
      return "list of strings";
    case Kind::durations:
      return "list of durations";
  }
  return "value";
}

std::string quote_toml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      out += fmt::format("\\u{:04X}", octet);
    } else {
      out += c;
    }
  }
  return out + '"';
}

namespace {

template <class Items, class Write>
std::string list(const Items& items, Write write) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ", ";
    out += write(item);
  }
  return out + "]";
}

std::string write_number(double number) {
  std::string out = fmt::format("{}", number);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

}  // namespace

std::string to_toml(Kind kind, const Value& value) {
  switch (kind) {
    case Kind::text:
      return quote_toml(std::get<std::string>(value));
    case Kind::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case Kind::integer:
      return std::to_string(std::get<std::uint64_t>(value));
    case Kind::number:
      return write_number(std::get<double>(value));
    case Kind::duration:
      return quote_toml(to_text(std::get<Duration>(value)));
    case Kind::size:
      return quote_toml(octets_to_text(std::get<std::uint64_t>(value)));
    case Kind::texts:
      return list(std::get<std::vector<std::string>>(value), quote_toml);
    case Kind::durations:
      return list(std::get<std::vector<Duration>>(value),
                  [](Duration item) { return quote_toml(to_text(item)); });
  }
  return {};
}

}  // namespace mansio::settings
