// xtext of RFC 3461 §4: printable ASCII, "+" and "=" and everything else as +HH. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio {
std::string to_xtext(std::string_view text);
/// nullopt: bad escape, or an octet that xtext does not allow.
std::optional<std::string> from_xtext(std::string_view text);
}  // namespace mansio
