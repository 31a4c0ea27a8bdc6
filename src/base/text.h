// Small pieces of text handling used by several folders. ASCII only, locale-free.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <cstdint>
#include <vector>

namespace mansio {

std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
/// Decimal digits only, no sign; nullopt on anything else or overflow.
std::optional<std::uint64_t> parse_decimal(std::string_view text);
/// Control octets, quotes and backslashes as \xNN, \" and \\; for logs and messages to people.
std::string escape(std::string_view text);
/// The inside of a JSON string (RFC 8259 §7); octets that are not UTF-8 become U+FFFD.
std::string json_escape(std::string_view text);

}  // namespace mansio
