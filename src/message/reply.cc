#include "message/reply.h"

#include "message/utf8.h"

namespace mansio {

namespace {

/// Up to three digits from the front of `text`; nullopt if there is none.
std::optional<std::uint16_t> take_number(std::string_view& text) {
  std::uint16_t value = 0;
  std::size_t digits = 0;
  while (digits < 3 && digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    value = static_cast<std::uint16_t>(value * 10 + (text[digits] - '0'));
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string EnhancedCode::to_string() const {
  if (!present()) return {};
  return std::to_string(klass) + '.' + std::to_string(subject) + '.' + std::to_string(detail);
}

std::optional<EnhancedCode> EnhancedCode::parse(std::string_view text) {
  if (text.empty() || (text[0] != '2' && text[0] != '4' && text[0] != '5')) return std::nullopt;
  EnhancedCode code;
  code.klass = static_cast<std::uint8_t>(text[0] - '0');
  text.remove_prefix(1);
  if (!take(text, '.')) return std::nullopt;
  const auto subject = take_number(text);
  if (!subject || !take(text, '.')) return std::nullopt;
  const auto detail = take_number(text);
  if (!detail || !text.empty()) return std::nullopt;
  code.subject = *subject;
  code.detail = *detail;
  return code;
}

std::string Reply::to_string() const {
  std::string line;
  const auto add = [&line](const std::string& part) {
    if (part.empty()) return;
    if (!line.empty()) line += ' ';
    line += part;
  };
  if (code != 0) add(std::to_string(code));
  add(enhanced.to_string());
  add(to_printable_line(text));
  return line;
}

}  // namespace mansio
