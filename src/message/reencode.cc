#include "message/reencode.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "message/transfer_encoding.h"

namespace mansio {
namespace {

constexpr int nesting_max = 20;
constexpr std::size_t text_line_max = 998;  // RFC 5321 §4.5.3.1.6

bool has_8bit(std::string_view octets) {
  return std::any_of(octets.begin(), octets.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

bool has_longer_line(std::string_view octets, std::size_t line_max) {
  while (octets.size() > line_max) {
    const std::size_t newline = octets.find("\r\n");
    const std::size_t length = std::min(newline, octets.size());
    if (length > line_max) return true;
    if (newline == std::string_view::npos) return false;
    octets.remove_prefix(newline + 2);
  }
  return false;
}

/// NUL, or a CR or LF that stands alone: DATA can carry neither.
bool holds_no_text(std::string_view octets) {
  if (octets.find('\0') != std::string_view::npos) return true;
  for (std::size_t at = octets.find_first_of("\r\n"); at != std::string_view::npos;
       at = octets.find_first_of("\r\n", at + 2)) {
    if (octets.substr(at, 2) != "\r\n") return true;
  }
  return false;
}

struct Field {
  std::string_view octets;  // the whole field with its continuation lines and last CRLF
  std::string name;         // lower case
  std::string value;        // unfolded, trimmed
};

struct Part {
  std::vector<Field> fields;
  std::string_view empty_line;  // between header and body; empty if there is none
  std::string_view body;
};

/// nullopt: something in the header section is not a field.
std::optional<Part> split_part(std::string_view octets) {
  Part part;
  while (!octets.empty()) {
    if (octets.starts_with("\r\n")) {
      part.empty_line = octets.substr(0, 2);
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

/// Does the header of this part say that it is binary? Only an exact word counts.
bool says_binary(std::string_view part) {
  const std::string header = to_lower(part.substr(0, part.find("\r\n\r\n")));
  return header.find("content-transfer-encoding: binary") != std::string::npos;
}

bool is_signature(const Field& field) {
  return field.name == "dkim-signature" || field.name == "domainkey-signature" ||
         field.name == "arc-seal" || field.name == "arc-message-signature";
}

/// Kinds whose octets a signature covers, or which only their reader can open.
bool is_sealed(const std::string& kind) {
  return kind.starts_with("multipart/signed") || kind.starts_with("multipart/encrypted") ||
         kind.starts_with("application/pkcs7") || kind.starts_with("application/x-pkcs7");
}

/// Folds the long lines of a field before white space, which changes nothing in its value (RFC 5322
/// §2.2.3). False: a line holds none where it is needed.
bool fold(std::string_view field, std::size_t line_max, std::string& out) {
  // Not within the name; and no line may hold white space only (RFC 5322 §3.2.2).
  std::size_t start = field.find(':');
  while (!field.empty()) {
    const std::size_t end = std::min(field.find("\r\n"), field.size());
    std::string_view line = field.substr(0, end);
    while (line.size() > line_max) {
      const std::size_t last = line.find_last_not_of(" \t");
      const std::size_t at = line.find_last_of(" \t", std::min(line_max, last));
      if (at == std::string_view::npos || at <= start) return false;
      out += line.substr(0, at);
      out += "\r\n";
      line.remove_prefix(at);
      start = line.find_first_not_of(" \t");
    }
    out += line;
    out += field.substr(end, 2);
    field.remove_prefix(std::min(end + 2, field.size()));
    start = field.find_first_not_of(" \t");
  }
  return true;
}

/// What a message must not hold any more.
struct Rules {
  bool seven_bit = false;
  bool text = false;         // no NUL, no CR or LF that stands alone, and no part says `binary`
  std::size_t line_max = 0;  // 0: any
};

class Converter {
 public:
  Converter(const Rules& rules, std::string& why) : rules_(rules), why_(why) {}

  /// `kind`: of a part without a Content-Type.
  bool convert(std::string_view octets, const char* kind, int depth, std::string& out);

 private:
  bool refuse(std::string_view why) {
    why_ = std::string(why);
    return false;
  }

  bool breaks_rules(std::string_view octets) const {
    return (rules_.seven_bit && has_8bit(octets)) || (rules_.text && holds_no_text(octets)) ||
           (rules_.line_max > 0 && has_longer_line(octets, rules_.line_max));
  }

  /// What the peer wrote, fit for a reply.
  static std::string shown(std::string_view text) { return escape(text.substr(0, 40)); }

  const char* what() const {
    if (rules_.text) return "binary content";
    return rules_.seven_bit ? "8-bit characters" : "long lines";
  }

  bool write_fields(const Part& part, bool with_encoding, std::string& out);
  bool write_header(const Part& part, bool whole, std::string_view encoding, std::string& out);
  bool convert_body(const Part& part, const std::string& kind, const std::string& encoding,
                    bool whole, std::string& out);
  void write_returned_header(const Part& part, std::string& out);
  bool convert_multipart(const Part& part, const Field& type, int depth, std::string& out);
  bool convert_pieces(std::string_view body, const std::string& delimiter, const char* kind,
                      int depth, std::string& out);

  const Rules rules_;
  std::string& why_;
  bool in_report_ = false;  // depth 1 holds the parts of a delivery report
};

bool Converter::write_fields(const Part& part, bool with_encoding, std::string& out) {
  for (const Field& field : part.fields) {
    if (!with_encoding && field.name == "content-transfer-encoding") continue;
    if (!breaks_rules(field.octets)) {
      out += field.octets;
    } else if (!fold(field.octets, rules_.line_max, out)) {
      return refuse("a header field has no white space where it could be folded");
    }
  }
  return true;
}

bool Converter::write_header(const Part& part, bool whole, std::string_view encoding,
                             std::string& out) {
  if (!write_fields(part, false, out)) return false;
  bool twice = false;
  // Without it readers need not heed the encoding (RFC 2045 §4); parts take it from the whole.
  if (whole && find_only(part, "mime-version", twice) == nullptr) out += "MIME-Version: 1.0\r\n";
  out += "Content-Transfer-Encoding: ";
  out += encoding;
  out += "\r\n\r\n";
  return true;
}

bool Converter::convert(std::string_view octets, const char* kind_by_default, int depth,
                        std::string& out) {
  // Clean content may keep its label as a whole, but not among parts that are converted.
  if (!breaks_rules(octets) && !(rules_.text && depth > 0 && says_binary(octets))) {
    out += octets;
    return true;
  }
  if (depth > nesting_max) return refuse("its parts are nested too deeply");
  const std::optional<Part> part = split_part(octets);
  if (!part) return refuse("its header is malformed");
  for (const Field& field : part->fields) {
    if (rules_.seven_bit && has_8bit(field.octets)) {
      return refuse("its header holds 8-bit characters");
    }
    if (rules_.text && holds_no_text(field.octets)) {
      return refuse("its header holds NUL, or a CR or LF that stands alone");
    }
    if (is_signature(field)) return refuse("it is signed");
  }
  bool twice = false;
  const Field* type = find_only(*part, "content-type", twice);
  const Field* encoding = find_only(*part, "content-transfer-encoding", twice);
  if (twice) return refuse("a MIME field comes twice");
  const std::string kind = type == nullptr ? kind_by_default : to_lower(type->value);
  if (is_sealed(kind)) return refuse("it is signed or encrypted");
  const std::string how = encoding == nullptr ? "7bit" : to_lower(encoding->value);
  if (!breaks_rules(part->body)) {
    if (rules_.text && how == "binary") {
      if (!write_header(*part, depth == 0, has_8bit(part->body) ? "8bit" : "7bit", out)) {
        return false;
      }
      out += part->body;
      return true;
    }
    if (!write_fields(*part, true, out)) return false;
    out += part->empty_line;
    out += part->body;
    return true;
  }
  if (in_report_ && depth == 1 && kind.starts_with("message/rfc822")) {
    write_returned_header(*part, out);
    return true;
  }
  if (kind.starts_with("multipart/")) {
    const bool binary_allowed = rules_.text || !rules_.seven_bit;
    if (how != "8bit" && how != "7bit" && (!binary_allowed || how != "binary")) {
      return refuse("a multipart says " + shown(how));
    }
    return convert_multipart(*part, *type, depth, out);
  }
  return convert_body(*part, kind, how, depth == 0, out);
}

/// The returned message of a report: its header is enough for the reader (RFC 6522 §3), and may be
/// encoded, which a message inside a message may not (RFC 2046 §5.2.1). Losing the report is worse.
void Converter::write_returned_header(const Part& part, std::string& out) {
  out += "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
  const std::size_t end = part.body.find("\r\n\r\n");
  const bool no_header = part.body.starts_with("\r\n");
  out += quoted_printable(
      no_header ? "" : part.body.substr(0, end == std::string_view::npos ? end : end + 2));
}

/// A part that holds no others.
bool Converter::convert_body(const Part& part, const std::string& kind, const std::string& encoding,
                             bool whole, std::string& out) {
  const bool labelled = encoding == "8bit" || encoding == "7bit";
  const bool plain = labelled || encoding == "binary";
  const bool no_text = rules_.text && holds_no_text(part.body);
  const bool not_encoded = no_text || (rules_.seven_bit && has_8bit(part.body));
  if (not_encoded && !labelled && !(rules_.text && encoding == "binary")) {
    // What claims another encoding and holds 8-bit octets is broken; converting would hide that.
    return refuse(std::string("a part with ") + (no_text ? "binary" : "8-bit") + " content says " +
                  shown(encoding));
  }
  if (kind.starts_with("message/")) return refuse(std::string("it holds a message with ") + what());
  if (encoding == "quoted-printable" || encoding == "base64") {
    const bool is_base64 = encoding == "base64";
    const auto body = is_base64 ? base64_rewrapped(part.body) : softly_broken(part.body);
    if (!body) return refuse("a part is not what it says: " + encoding);
    if (!write_header(part, whole, encoding, out)) return false;
    out += *body;
    return true;
  }
  if (!plain) return refuse("a part with long lines says " + shown(encoding));
  const bool is_text = kind.starts_with("text/") && encoding != "binary" &&
                       part.body.find('\0') == std::string_view::npos;
  if (!write_header(part, whole, is_text ? "quoted-printable" : "base64", out)) return false;
  out += is_text ? quoted_printable(part.body) : base64_lines(part.body);
  return true;
}

bool Converter::convert_multipart(const Part& part, const Field& type, int depth,
                                  std::string& out) {
  const std::string boundary = boundary_of(type.value);
  if (boundary.empty()) return refuse("the boundary of a multipart is missing or unclear");
  // RFC 2046 §5.1.5
  const bool is_digest = to_lower(type.value).starts_with("multipart/digest");
  const char* kind = is_digest ? "message/rfc822" : "text/plain";
  if (depth == 0) in_report_ = to_lower(type.value).starts_with("multipart/report");
  std::string body;
  if (!convert_pieces(part.body, "--" + boundary, kind, depth, body)) return false;
  if (!write_header(part, depth == 0, has_8bit(body) ? "8bit" : "7bit", out)) return false;
  out += body;
  return true;
}

/// Preamble, parts and epilogue of a multipart (RFC 2046 §5.1.1).
bool Converter::convert_pieces(std::string_view rest, const std::string& delimiter,
                               const char* kind, int depth, std::string& out) {
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
    if (breaks_rules(rest.substr(line, next - line))) return refuse("a boundary is too long");
    const std::string_view piece =
        piece_start.substr(0, static_cast<std::size_t>(rest.data() + line - piece_start.data()));
    if (in_part) {
      // The CRLF before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
      const std::string_view content =
          piece.ends_with("\r\n") ? piece.substr(0, piece.size() - 2) : piece;
      if (!convert(content, kind, depth + 1, out)) return false;
      if (piece.ends_with("\r\n")) out += "\r\n";
    } else {
      if (breaks_rules(piece)) return refuse(std::string(what()) + " stand outside of its parts");
      out += piece;
    }
    out += rest.substr(line, next - line);
    piece_start = rest.substr(next);
    line = next;
    in_part = true;
    if (closing) {
      if (breaks_rules(piece_start))
        return refuse(std::string(what()) + " stand outside of its parts");
      out += piece_start;
      return true;
    }
  }
  return refuse("a multipart has no end");
}

std::optional<std::string> converted(std::string_view message, const Rules& rules,
                                     std::string& why) {
  std::string out;
  Converter converter(rules, why);
  if (!converter.convert(message, "text/plain", 0, out)) return std::nullopt;
  return out;
}

}  // namespace

std::optional<std::string> to_seven_bit(std::string_view message, std::string& why) {
  Rules rules;
  rules.seven_bit = true;
  return converted(message, rules, why);
}

std::optional<std::string> to_text(std::string_view message, bool seven_bit, std::string& why) {
  Rules rules;
  rules.seven_bit = seven_bit;
  rules.text = true;
  rules.line_max = text_line_max;
  return converted(message, rules, why);
}

std::optional<std::string> to_short_lines(std::string_view message, std::size_t line_max,
                                          std::string& why) {
  Rules rules;
  rules.line_max = line_max;
  return converted(message, rules, why);
}

}  // namespace mansio
