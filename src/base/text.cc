#include "base/text.h"

#include <algorithm>
#include <limits>

namespace mansio {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

constexpr char kHex[] = "0123456789abcdef";

/// Octets of the well-formed UTF-8 sequence at the front (RFC 3629 §4), 0 if there is none.
std::size_t utf8_sequence(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continued = [&](std::size_t size, unsigned low, unsigned high) {
    if (text.size() < size || octet(1) < low || octet(1) > high) return false;
    for (std::size_t i = 2; i < size; ++i) {
      if ((octet(i) & 0xc0u) != 0x80u) return false;
    }
    return true;
  };
  const unsigned first = octet(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continued(2, 0x80, 0xbf) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;   // no overlong forms
    const unsigned high = first == 0xed ? 0x9f : 0xbf;  // no surrogates
    return continued(3, low, high) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return continued(4, low, high) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string to_lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto next = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - next) / 10) return std::nullopt;
    value = value * 10 + next;
  }
  return value;
}

std::string escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      result += "\\x";
      result += kHex[octet >> 4];
      result += kHex[octet & 15];
    } else {
      result += c;
    }
  }
  return result;
}

std::string json_escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const char c = text.front();
    const auto octet = static_cast<unsigned char>(c);
    const auto sequence = utf8_sequence(text);
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (c == '\n') {
      result += "\\n";
    } else if (octet < 0x20 || octet == 0x7f) {
      result += "\\u00";
      result += kHex[octet >> 4];
      result += kHex[octet & 15];
    } else if (sequence == 0) {
      result += "\\ufffd";
    } else {
      result += text.substr(0, sequence);
    }
    text.remove_prefix(std::max<std::size_t>(sequence, 1));
  }
  return result;
}

}  // namespace mansio
