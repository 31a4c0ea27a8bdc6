#include "message/original_recipient.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "message/utf8.h"
#include "message/xtext.h"

namespace mansio {
namespace {

constexpr std::size_t original_recipient_octets_max = 500;  // RFC 3461 §5.4

bool is_type(std::string_view type) {
  return !type.empty() && std::all_of(type.begin(), type.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

/// One EmbeddedUnicodeChar, \x{HEX}, from the front of `text`. False: none, or one that steers
/// text.
bool take_escape(std::string_view& text) {
  if (!text.starts_with("\\x{")) return false;
  const std::size_t close = text.find('}');
  if (close == std::string_view::npos || close < 5 || close > 9) return false;
  char32_t character = 0;
  for (const char c : text.substr(3, close - 3)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return false;
    character = character << 4 | static_cast<char32_t>(digit ? c - '0' : c - 'A' + 10);
  }
  const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
  if (surrogate || character > 0x10FFFF || is_steering_character(character)) return false;
  text.remove_prefix(close + 1);
  return true;
}

void append_escape(char32_t character, std::string& out) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string hex;
  for (; character != 0; character >>= 4) hex.insert(0, 1, digits[character & 15]);
  out += "\\x{" + hex + "}";
}

/// What xtext encodes: printable ASCII, and with `unicode` UTF-8, since Postfix knows no other form
/// for the address type rfc822.
bool is_printable(std::string_view text, bool unicode) {
  while (!text.empty()) {
    const auto character = take_utf8(text);
    if (!character || *character < ' ' || *character == 0x7f) return false;
    if (*character >= 0x80 && (!unicode || is_steering_character(*character))) return false;
  }
  return true;
}

bool valid_utf8_address(std::string_view text, bool unicode) {
  while (!text.empty()) {
    if (text.front() == '\\') {
      if (!take_escape(text)) return false;
      continue;
    }
    if (text.front() == '+') {  // not of RFC 6533, but of every xtext
      if (text.size() < 3 || !from_xtext(text.substr(0, 3))) return false;
      text.remove_prefix(3);
      continue;
    }
    const auto character = take_utf8(text);
    if (!character || *character == ' ' || *character == '=') return false;
    if (is_steering_character(*character) || (*character >= 0x80 && !unicode)) return false;
  }
  return true;
}

}  // namespace

bool valid_original_recipient(std::string_view value, bool unicode) {
  if (value.size() > original_recipient_octets_max) return false;
  const std::size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos || !is_type(value.substr(0, semicolon))) return false;
  const std::string_view address = value.substr(semicolon + 1);
  if (address.empty()) return false;
  if (equals_ignoring_case(value.substr(0, semicolon), "utf-8")) {
    return valid_utf8_address(address, unicode);
  }
  const std::optional<std::string> decoded = from_xtext(address);
  return decoded && is_printable(*decoded, unicode);
}

std::string ascii_original_recipient(std::string_view value) {
  std::string out;
  while (!value.empty()) {
    const std::string_view before = value;
    const auto character = take_utf8(value);
    if (!character) {  // never of what was accepted
      value.remove_prefix(1);
      continue;
    }
    if (*character < 0x80) {
      out += before.front();
      continue;
    }
    append_escape(*character, out);
  }
  return out;
}

std::string original_recipient_of(const Address& address) {
  const std::string text = address.to_string();
  if (is_ascii(text)) return "rfc822;" + to_xtext(text);
  std::string out = "utf-8;";
  for (const char c : text) {
    // What neither xtext nor RFC 6533 leaves as it is.
    if (c == '+' || c == '=' || c == '\\' || c == ' ') {
      append_escape(static_cast<char32_t>(c), out);
    } else {
      out += c;
    }
  }
  return ascii_original_recipient(out);
}

}  // namespace mansio
