#include "message/utf8.h"

#include <array>
#include <cstdint>

namespace mansio {

namespace {

/// Length of the sequence that `lead` opens and the least value it may encode; 0: not a lead octet.
struct Lead {
  std::size_t length;
  char32_t least;
  char32_t bits;
};

Lead lead_of(unsigned char octet) {
  if (octet < 0x80) return {1, 0, octet};
  if (octet >= 0xC2 && octet <= 0xDF) return {2, 0x80, static_cast<char32_t>(octet & 0x1F)};
  if (octet >= 0xE0 && octet <= 0xEF) return {3, 0x800, static_cast<char32_t>(octet & 0x0F)};
  if (octet >= 0xF0 && octet <= 0xF4) return {4, 0x10000, static_cast<char32_t>(octet & 0x07)};
  return {0, 0, 0};
}

void append_escaped(std::string& out, unsigned char octet) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  out += "\\x";
  out += digits[octet >> 4];
  out += digits[octet & 0x0F];
}

}  // namespace

std::optional<char32_t> take_utf8(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const auto [length, least, bits] = lead_of(static_cast<unsigned char>(text[0]));
  if (length == 0 || text.size() < length) return std::nullopt;
  char32_t character = bits;
  for (std::size_t i = 1; i < length; ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    if ((octet & 0xC0) != 0x80) return std::nullopt;
    character = character << 6 | static_cast<char32_t>(octet & 0x3F);
  }
  const bool surrogate = character >= 0xD800 && character <= 0xDFFF;
  if (character < least || surrogate || character > 0x10FFFF) return std::nullopt;
  text.remove_prefix(length);
  return character;
}

bool is_steering_character(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0x9F)) return true;
  if (c == 0x061C || c == 0x200E || c == 0x200F) return true;  // bidi marks
  if (c >= 0x2028 && c <= 0x202E) return true;                 // separators, embeddings
  if (c >= 0x2066 && c <= 0x2069) return true;                 // isolates
  if (c == 0xFEFF || (c >= 0xFDD0 && c <= 0xFDEF)) return true;
  return (c & 0xFFFE) == 0xFFFE;
}

bool is_ascii(std::string_view text) {
  for (const char octet : text) {
    if (static_cast<unsigned char>(octet) >= 0x80) return false;
  }
  return true;
}

std::string to_printable_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  while (!text.empty()) {
    if (text.starts_with("\r\n")) text.remove_prefix(1);
    if (text.front() == '\n' || text.front() == '\t') {
      line += ' ';
      text.remove_prefix(1);
      continue;
    }
    std::string_view rest = text;
    const auto character = take_utf8(rest);
    const std::size_t length = character ? text.size() - rest.size() : 1;
    const std::string_view octets = text.substr(0, length);
    text.remove_prefix(length);
    if (character && !is_steering_character(*character)) {
      line += octets;
      continue;
    }
    for (const char octet : octets) append_escaped(line, static_cast<unsigned char>(octet));
  }
  return line;
}

}  // namespace mansio
