#include "delivery/eight_bit_downgrade.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace mansio::delivery {
namespace {

constexpr int nesting_max = 20;
constexpr std::size_t encoded_line = 76;  // RFC 2045 §6.7 (5), §6.8

bool has_8bit(std::string_view octets) {
  return std::any_of(octets.begin(), octets.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

struct Field {
  std::string_view octets;  // the whole field with its continuation lines and last CRLF
  std::string name;         // lower case
  std::string value;        // unfolded, trimmed
};

struct Part {
  std::vector<Field> fields;
  std::string_view body;
};

/// nullopt: something in the header section is not a field.
std::optional<Part> split_part(std::string_view octets) {
  Part part;
  while (!octets.empty()) {
    if (octets.starts_with("\r\n")) {
      octets.remove_prefix(2);
      break;
    }
    std::size_t end = 0;
    do {
      const std::size_t newline = octets.find("\r\n", end);
      end = newline == std::string_view::npos ? octets.size() : newline + 2;
    } while (end < octets.size() && (octets[end] == ' ' || octets[end] == '\t'));
    Field field;
    field.octets = octets.substr(0, end);
    const std::size_t colon = field.octets.find(':');
    if (colon == std::string_view::npos || colon == 0) return std::nullopt;
    field.name = to_lower(trim(field.octets.substr(0, colon)));
    for (const char c : field.octets.substr(colon + 1)) {
      if (c != '\r' && c != '\n') field.value += c == '\t' ? ' ' : c;
    }
    field.value = std::string(trim(field.value));
    part.fields.push_back(std::move(field));
    octets.remove_prefix(end);
  }
  part.body = octets;
  return part;
}

const Field* find_only(const Part& part, std::string_view name, bool& twice) {
  const Field* found = nullptr;
  for (const Field& field : part.fields) {
    if (field.name != name) continue;
    if (found != nullptr) twice = true;
    found = &field;
  }
  return found;
}

/// The boundary parameter of a Content-Type, quoted or not; empty if there is none or it is odd.
std::string boundary_of(const std::string& content_type) {
  const std::string lower = to_lower(content_type);
  const std::size_t at = lower.find("boundary=");
  if (at == std::string::npos || lower.find("boundary=", at + 1) != std::string::npos) return {};
  std::string_view rest = std::string_view(content_type).substr(at + 9);
  std::string boundary;
  if (rest.starts_with('"')) {
    const std::size_t quote = rest.find('"', 1);
    if (quote == std::string_view::npos) return {};
    boundary = rest.substr(1, quote - 1);
  } else {
    boundary = trim(rest.substr(0, rest.find(';')));
  }
  if (boundary.empty() || boundary.size() > 70 || boundary.find('\\') != std::string::npos ||
      boundary.find('(') != std::string::npos) {
    return {};
  }
  return boundary;
}

std::string quoted_printable(std::string_view body) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body.substr(i, 2) == "\r\n") {
      out += "\r\n";
      column = 0;
      ++i;
      continue;
    }
    const auto octet = static_cast<unsigned char>(body[i]);
    const bool before_end = i + 1 == body.size() || body.substr(i + 1, 2) == "\r\n";
    const bool blank = octet == ' ' || octet == '\t';
    const bool plain = blank ? !before_end : octet > 32 && octet < 127 && octet != '=';
    const std::size_t width = plain ? 1 : 3;
    // One column stays free for the soft line break.
    if (column + width > encoded_line - 1) {
      out += "=\r\n";
      column = 0;
    }
    if (plain) {
      out += static_cast<char>(octet);
    } else {
      out += '=';
      out += digits[octet >> 4];
      out += digits[octet & 15];
    }
    column += width;
  }
  return out;
}

std::string base64_lines(std::string_view body) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < body.size(); i += 3) {
    unsigned group = 0;
    const std::size_t left = body.size() - i;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < left ? static_cast<unsigned char>(body[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j)
      out += j <= left ? alphabet[group >> (18 - 6 * j) & 63] : '=';
    column += 4;
    if (column == encoded_line || i + 3 >= body.size()) {
      out += "\r\n";
      column = 0;
    }
  }
  return out;
}

class Converter {
 public:
  explicit Converter(std::string& why) : why_(why) {}

  bool convert(std::string_view octets, int depth, std::string& out);

 private:
  bool refuse(std::string_view why) {
    why_ = std::string(why);
    return false;
  }

  bool convert_multipart(const Part& part, const Field& type, int depth, std::string& out);
  static void write_header(const Part& part, bool whole, std::string_view encoding,
                           std::string& out);

  std::string& why_;
};

void Converter::write_header(const Part& part, bool whole, std::string_view encoding,
                             std::string& out) {
  bool has_version = false;
  for (const Field& field : part.fields) {
    if (field.name != "content-transfer-encoding") out += field.octets;
    has_version |= field.name == "mime-version";
  }
  // Without it readers need not heed the encoding (RFC 2045 §4); parts take it from the whole.
  if (whole && !has_version) out += "MIME-Version: 1.0\r\n";
  out += "Content-Transfer-Encoding: ";
  out += encoding;
  out += "\r\n\r\n";
}

bool Converter::convert(std::string_view octets, int depth, std::string& out) {
  if (!has_8bit(octets)) {
    out += octets;
    return true;
  }
  if (depth > nesting_max) return refuse("its parts are nested too deeply");
  const std::optional<Part> part = split_part(octets);
  if (!part) return refuse("its header is malformed");
  for (const Field& field : part->fields) {
    if (has_8bit(field.octets)) return refuse("its header holds 8-bit characters");
    if (field.name == "dkim-signature" || field.name == "domainkey-signature" ||
        field.name == "arc-seal") {
      return refuse("it is signed");
    }
  }
  bool twice = false;
  const Field* type = find_only(*part, "content-type", twice);
  const Field* encoding = find_only(*part, "content-transfer-encoding", twice);
  if (twice) return refuse("a MIME field comes twice");
  const std::string kind = type == nullptr ? "text/plain" : to_lower(type->value);
  const std::string how = encoding == nullptr ? "7bit" : to_lower(encoding->value);
  // What claims another encoding and holds 8-bit octets is broken; converting would hide that.
  if (how != "8bit" && how != "7bit") return refuse("a part with 8-bit content says " + how);
  if (kind.starts_with("multipart/signed") || kind.starts_with("multipart/encrypted") ||
      kind.starts_with("application/pkcs7")) {
    return refuse("it is signed or encrypted");
  }
  if (kind.starts_with("multipart/")) return convert_multipart(*part, *type, depth, out);
  if (kind.starts_with("message/")) return refuse("it holds a message with 8-bit content");
  if (kind.starts_with("text/")) {
    write_header(*part, depth == 0, "quoted-printable", out);
    out += quoted_printable(part->body);
  } else {
    write_header(*part, depth == 0, "base64", out);
    out += base64_lines(part->body);
  }
  return true;
}

bool Converter::convert_multipart(const Part& part, const Field& type, int depth,
                                  std::string& out) {
  const std::string boundary = boundary_of(type.value);
  if (boundary.empty()) return refuse("the boundary of a multipart is missing or unclear");
  const std::string delimiter = "--" + boundary;

  write_header(part, depth == 0, "7bit", out);
  std::string_view rest = part.body;
  std::string_view piece_start = rest;  // of the preamble, then of each part
  std::size_t line = 0;
  bool in_part = false;
  while (line < rest.size()) {
    const std::size_t newline = rest.find("\r\n", line);
    const std::size_t next = newline == std::string_view::npos ? rest.size() : newline + 2;
    std::string_view text = rest.substr(line, next - line);
    text = text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    const bool closing = text == delimiter + "--";
    if (!closing && text != delimiter) {
      // A line that only begins like a delimiter: readers disagree on what it is.
      if (text.starts_with(delimiter)) return refuse("a line resembles the boundary");
      line = next;
      continue;
    }
    const std::string_view piece =
        piece_start.substr(0, static_cast<std::size_t>(rest.data() + line - piece_start.data()));
    if (in_part) {
      // The CRLF before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
      const std::string_view content =
          piece.ends_with("\r\n") ? piece.substr(0, piece.size() - 2) : piece;
      if (!convert(content, depth + 1, out)) return false;
      if (piece.ends_with("\r\n")) out += "\r\n";
    } else {
      if (has_8bit(piece)) return refuse("8-bit characters stand outside of its parts");
      out += piece;
    }
    out += rest.substr(line, next - line);
    piece_start = rest.substr(next);
    line = next;
    in_part = true;
    if (closing) {
      if (has_8bit(piece_start)) return refuse("8-bit characters stand outside of its parts");
      out += piece_start;
      return true;
    }
  }
  return refuse("a multipart has no end");
}

}  // namespace

std::optional<std::string> to_seven_bit(std::string_view message, std::string& why) {
  std::string out;
  Converter converter(why);
  if (!converter.convert(message, 0, out)) return std::nullopt;
  return out;
}

}  // namespace mansio::delivery
