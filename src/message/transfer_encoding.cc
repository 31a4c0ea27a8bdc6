#include "message/transfer_encoding.h"

#include <algorithm>

#include "base/text.h"

namespace mansio {
namespace {

constexpr std::size_t line_max = 76;  // RFC 2045 §6.7 (5), §6.8

constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes quoted-printable and breaks its lines.
class Lines {
 public:
  /// Octets that must stay together.
  void put(std::string_view unit) {
    // One column stays free for the soft line break.
    if (column_ + unit.size() > line_max - 1) {
      out_ += "=\r\n";
      column_ = 0;
    }
    out_ += unit;
    column_ += unit.size();
  }

  void end_line() {
    out_ += "\r\n";
    column_ = 0;
  }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::size_t column_ = 0;
};

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

}  // namespace

std::string quoted_printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  Lines lines;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\r\n") {
      lines.end_line();
      ++i;
      continue;
    }
    const auto octet = static_cast<unsigned char>(text[i]);
    const bool before_end = i + 1 == text.size() || text.substr(i + 1, 2) == "\r\n";
    const bool blank = octet == ' ' || octet == '\t';
    const bool plain = blank ? !before_end : octet > 32 && octet < 127 && octet != '=';
    const char escaped[] = {'=', digits[octet >> 4], digits[octet & 15]};
    lines.put(plain ? text.substr(i, 1) : std::string_view(escaped, sizeof(escaped)));
  }
  return lines.take();
}

std::string base64_lines(std::string_view octets) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    unsigned group = 0;
    const std::size_t left = octets.size() - i;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < left ? static_cast<unsigned char>(octets[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= left ? base64_alphabet[group >> (18 - 6 * j) & 63] : '=';
    column += 4;
    if (column == line_max || i + 3 >= octets.size()) {
      out += "\r\n";
      column = 0;
    }
  }
  return out;
}

std::optional<std::string> softly_broken(std::string_view encoded) {
  Lines lines;
  while (!encoded.empty()) {
    const std::size_t newline = encoded.find("\r\n");
    std::string_view line = encoded.substr(0, newline);
    encoded.remove_prefix(newline == std::string_view::npos ? encoded.size() : newline + 2);
    const bool is_soft = line.ends_with('=');
    if (is_soft) {
      line.remove_suffix(1);
    } else {
      // Readers delete it (§6.7 (3)); a soft line break behind some of it would bring that back.
      line = line.substr(0, line.find_last_not_of(" \t") + 1);
    }
    while (!line.empty()) {
      const bool escape = line.size() >= 3 && line[0] == '=' && is_hex(line[1]) && is_hex(line[2]);
      if (line[0] == '=' && !escape) return std::nullopt;
      const std::size_t size = escape ? 3 : 1;
      lines.put(line.substr(0, size));
      line.remove_prefix(size);
    }
    if (is_soft) lines.put("=");
    if (newline != std::string_view::npos) lines.end_line();
  }
  return lines.take();
}

std::optional<std::string> base64_rewrapped(std::string_view encoded) {
  std::string out;
  std::size_t column = 0;
  bool padded = false;
  for (const char c : encoded) {
    if (c == '\r' || c == '\n' || c == ' ' || c == '\t') continue;
    const bool pad = c == '=';
    if (!pad && (padded || base64_alphabet.find(c) == std::string_view::npos)) return std::nullopt;
    padded = pad;
    out += c;
    if (++column == line_max) {
      out += "\r\n";
      column = 0;
    }
  }
  if (column > 0) out += "\r\n";
  return out;
}

std::string from_quoted_printable(std::string_view encoded) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string out;
  out.reserve(encoded.size());
  while (!encoded.empty()) {
    const std::size_t newline = encoded.find('\n');
    std::string_view line = encoded.substr(0, newline);
    encoded.remove_prefix(newline == std::string_view::npos ? encoded.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = line.substr(0, line.find_last_not_of(" \t") + 1);
    const bool soft = line.ends_with('=');
    if (soft) line.remove_suffix(1);
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '=' && i + 2 < line.size() && is_hex(line[i + 1]) && is_hex(line[i + 2])) {
        out += static_cast<char>(digit(line[i + 1]) << 4 | digit(line[i + 2]));
        i += 2;
      } else {
        out += line[i];
      }
    }
    if (!soft && newline != std::string_view::npos) out += "\r\n";
  }
  return out;
}

std::string from_base64(std::string_view encoded) {
  std::string out;
  out.reserve(encoded.size() / 4 * 3);
  unsigned group = 0;
  unsigned bits = 0;
  for (const char c : encoded) {
    if (c == '=') {
      bits = 0;  // what follows is another run of base64, glued on
      continue;
    }
    const std::size_t value = base64_alphabet.find(c);
    if (value == std::string_view::npos) continue;
    group = (group << 6 | static_cast<unsigned>(value)) & 0xFFFFFF;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += static_cast<char>(group >> bits & 0xFF);
    }
  }
  return out;
}

}  // namespace mansio
