#include "message/submission.h"

#include <algorithm>

#include "base/text.h"

namespace mansio {
namespace {

constexpr std::string_view crlf = "\r\n";

/// ftext of RFC 5322 §3.6.8; some write blanks before the colon (§4.5.3).
std::size_t field_name_length(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return 0;
  std::string_view name = line.substr(0, colon);
  while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
  const bool sound =
      std::all_of(name.begin(), name.end(), [](char c) { return c > 32 && c < 127; });
  return sound ? name.size() : 0;
}

bool dropped(const HeaderField& field) {
  return field.is("Bcc") || field.is("Resent-Bcc") || field.is("Return-Path") ||
         equals_ignoring_case(field.name.substr(0, 9), "X-Mansio-");
}

std::string base64(std::string_view octets) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, octets.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < count ? static_cast<unsigned char>(octets[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= count ? digits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

/// Encoded words of at most 75 characters (RFC 2047 §2), never cut inside a character.
std::string encoded_words(std::string_view text) {
  constexpr std::size_t octets_max = 45;  // 60 characters of base 64, and 12 around them
  std::string out;
  while (!text.empty()) {
    std::size_t size = std::min(octets_max, text.size());
    while (size < text.size() && size > 1 &&
           (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
      --size;
    }
    if (!out.empty()) out += "\r\n ";
    out += "=?utf-8?B?" + base64(text.substr(0, size)) + "?=";
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace

bool HeaderField::is(std::string_view other) const { return equals_ignoring_case(name, other); }

std::vector<HeaderField> header_fields(std::string_view text, std::size_t* end) {
  std::vector<HeaderField> fields;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = text.find(crlf, at);
    next = next == text.npos ? text.size() : next + 2;
    const std::string_view line = text.substr(at, next - at);
    const bool folded = line.front() == ' ' || line.front() == '\t';
    if (folded && !fields.empty()) {
      HeaderField& field = fields.back();
      field.body = {field.body.data(), field.body.size() + line.size()};
      field.whole = {field.whole.data(), field.whole.size() + line.size()};
    } else {
      const std::size_t length = field_name_length(line);
      if (length == 0) break;
      fields.push_back({line.substr(0, length), line.substr(line.find(':') + 1), line});
    }
    at = next;
  }
  if (end != nullptr) *end = at;
  return fields;
}

std::string LineEnds::feed(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + piece.size() / 32 + 2);
  for (const char c : piece) {
    if (c == '\n' && after_cr_) {
      after_cr_ = false;  // the second half of a line end that is written already
      continue;
    }
    after_cr_ = c == '\r';
    if (c == '\r' || c == '\n') {
      out += crlf;
      in_line_ = false;
    } else {
      out += c;
      in_line_ = true;
    }
  }
  return out;
}

std::string LineEnds::finish() { return std::exchange(in_line_, false) ? std::string(crlf) : ""; }

std::string to_network_lines(std::string_view text) {
  LineEnds ends;
  std::string out = ends.feed(text);
  return out += ends.finish();
}

std::string completed(std::string_view text, const MissingFields& missing) {
  std::size_t end = 0;
  const std::vector<HeaderField> fields = header_fields(text, &end);
  const auto has = [&](std::string_view name) {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const HeaderField& field) { return field.is(name); });
  };
  std::string out;
  out.reserve(text.size() + 256);
  for (const HeaderField& field : fields) {
    if (!dropped(field)) out += field.whole;
  }
  if (!out.empty() && !out.ends_with(crlf)) out += crlf;
  if (!has("From") && !missing.from.empty()) out.append("From: ").append(missing.from).append(crlf);
  if (!has("Date")) out.append("Date: ").append(to_rfc5322(missing.now)).append(crlf);
  if (!has("Message-ID")) {
    out.append("Message-ID: <").append(missing.message_id).append(">").append(crlf);
  }
  const std::string_view rest = text.substr(end);
  if (!rest.starts_with(crlf)) out += crlf;
  return out.append(rest);
}

std::string mailbox_text(std::string_view name, std::string_view address) {
  const bool ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= 32 && c < 127; });
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ' ';
  });
  if (trim(name).empty()) return std::string(address);
  std::string out;
  if (plain) {
    out = name;
  } else if (ascii) {
    out = '"';
    for (const char c : name) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  } else {
    out = encoded_words(name);
  }
  return out.append(" <").append(address).append(">");
}

}  // namespace mansio
