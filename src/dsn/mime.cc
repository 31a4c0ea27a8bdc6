#include "dsn/mime.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "message/utf8.h"

namespace mansio::dsn {

namespace {

constexpr std::size_t fold_column = 76;
constexpr std::size_t word_octets_max = 900;
constexpr std::size_t text_columns = 72;

void append_utf8(char32_t character, std::string& out) {
  const auto octet = [&out](char32_t value) { out += static_cast<char>(value); };
  const auto tail = [&octet, character](unsigned shift) {
    octet(0x80 | ((character >> shift) & 0x3F));
  };
  if (character < 0x80) {
    octet(character);
  } else if (character < 0x800) {
    octet(0xC0 | (character >> 6));
    tail(0);
  } else if (character < 0x10000) {
    octet(0xE0 | (character >> 12));
    tail(6);
    tail(0);
  } else {
    octet(0xF0 | (character >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// The blanks that stand before the next word, and the word: at most word_octets_max octets of it.
struct Piece {
  std::string_view blanks;
  std::string_view word;  ///< empty: the text is over
};

Piece take_piece(std::string_view& text) {
  Piece piece;
  piece.blanks = text.substr(0, std::min(text.find_first_not_of(' '), text.size()));
  text.remove_prefix(piece.blanks.size());
  std::size_t length = std::min({text.find(' '), text.size(), word_octets_max});
  // Never cut inside a UTF-8 character.
  while (length > 1 && length < text.size() &&
         (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
    --length;
  }
  piece.word = text.substr(0, length);
  text.remove_prefix(length);
  return piece;
}

}  // namespace

std::string to_printable_ascii(std::string_view text, std::size_t octets_max) {
  constexpr std::string_view cut_mark = "...";
  std::string out;
  for (const char octet : to_printable_line(text)) {
    const std::size_t before = out.size();
    if (octet >= ' ' && octet <= '~') {
      out += octet;
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02X}", static_cast<unsigned char>(octet));
    }
    if (out.size() > octets_max) {
      out.resize(std::min(before, octets_max - std::min(octets_max, cut_mark.size())));
      return out += cut_mark;
    }
  }
  return out;
}

std::string header_field(std::string_view name, std::string_view value) {
  // A quoted local part of 64 octets may be all blanks; no other value needs as many.
  constexpr std::size_t blanks_max = 64;
  std::string out;
  out.reserve(name.size() + value.size() + 8);
  out += name;
  out += ':';
  std::size_t column = out.size();
  bool first = true;
  for (Piece piece = take_piece(value); !piece.word.empty(); piece = take_piece(value)) {
    const std::size_t blanks = std::clamp<std::size_t>(piece.blanks.size(), 1, blanks_max);
    if (!first && column + blanks + piece.word.size() > fold_column) {
      out += "\r\n";
      column = 0;
    }
    out.append(blanks, ' ');
    out += piece.word;
    column += blanks + piece.word.size();
    first = false;
  }
  return out += "\r\n";
}

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t column = 0;
  for (Piece piece = take_piece(text); !piece.word.empty(); piece = take_piece(text)) {
    if (column != 0 && column + 1 + piece.word.size() > text_columns) {
      out += "\r\n";
      column = 0;
    }
    const std::size_t blanks = column == 0 ? indent : 1;
    out.append(blanks, ' ');
    out += piece.word;
    column += blanks + piece.word.size();
  }
  return out += "\r\n";
}

bool is_seven_bit(std::string_view octets) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const auto octet = static_cast<unsigned char>(octets[i]);
    if (octet == '\r' && i + 1 < octets.size() && octets[i + 1] == '\n') {
      ++i;
      line = 0;
      continue;
    }
    if (octet >= 0x7F || (octet < ' ' && octet != '\t') || ++line > 998) return false;
  }
  return true;
}

std::string utf8_address(std::string_view address, bool unicode) {
  std::string out;
  while (!address.empty()) {
    const std::string_view before = address;
    auto character = take_utf8(address);
    if (!character) {
      character = static_cast<unsigned char>(before.front());
      address.remove_prefix(1);
    }
    // RFC 6533 §3: QCHAR is printable ASCII but "+", "=" and "\".
    const bool plain = *character >= '!' && *character <= '~' && *character != '+' &&
                       *character != '=' && *character != '\\';
    const std::size_t length = before.size() - address.size();
    const bool as_is = unicode && length > 1 && !is_steering_character(*character);
    if (plain || as_is) {
      out += before.substr(0, length);
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{{{:02X}}}",
                     static_cast<std::uint32_t>(*character));
    }
  }
  return out;
}

std::string from_utf8_address(std::string_view text) {
  constexpr std::string_view start = "\\x{";
  constexpr std::size_t digits_max = 6;
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.starts_with(start) ? text.find('}') : std::string_view::npos;
    char32_t character = 0;
    bool valid = false;
    if (end != std::string_view::npos && end > start.size() && end <= start.size() + digits_max) {
      std::uint32_t value = 0;
      const char* const last = text.data() + end;
      const auto read = std::from_chars(text.data() + start.size(), last, value, 16);
      character = value;
      const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
      valid = read.ec == std::errc() && read.ptr == last && value <= 0x10FFFF && !surrogate;
    }
    if (valid) {
      append_utf8(character, out);
      text.remove_prefix(end + 1);
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace mansio::dsn
