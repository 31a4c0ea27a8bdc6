#include "message/xtext.h"

namespace mansio {

namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";

/// RFC 3461 §4: printable ASCII without "+" and "=".
bool is_xchar(char octet) { return octet >= '!' && octet <= '~' && octet != '+' && octet != '='; }

}  // namespace

std::string to_xtext(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char octet : text) {
    if (is_xchar(octet)) {
      out += octet;
      continue;
    }
    const auto value = static_cast<unsigned char>(octet);
    out += '+';
    out += hex_digits[value >> 4];
    out += hex_digits[value & 0x0F];
  }
  return out;
}

std::optional<std::string> from_xtext(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_xchar(text[i])) {
      out += text[i];
      continue;
    }
    if (text[i] != '+' || text.size() - i < 3) return std::nullopt;
    const std::size_t high = hex_digits.find(text[i + 1]);  // upper case only, as the RFC has it
    const std::size_t low = hex_digits.find(text[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

}  // namespace mansio
