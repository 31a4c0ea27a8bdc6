#include "smtp/server_replies.h"

#include <algorithm>

#include "message/utf8.h"

namespace mansio::smtp {
namespace {
// RFC 5321 §4.5.3.1.5: 512 octets with code and line end.
constexpr std::size_t text_octets_max = 480;

/// Moves one character, or an octet that is none, from the front of `line` to `out`.
void take_shown(std::string_view& line, bool utf8, std::string& out) {
  const std::string_view before = line;
  const auto character = take_utf8(line);
  if (!character) line.remove_prefix(1);
  const bool shown = character && !is_steering_character(*character) && (utf8 || *character < 0x80);
  out += shown ? before.substr(0, before.size() - line.size()) : std::string_view("?");
}

/// Most replies are our own words.
bool is_plain(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void append_shown(std::string& out, std::string_view line, bool utf8) {
  if (is_plain(line)) {
    out += line;
    return;
  }
  while (!line.empty()) take_shown(line, utf8, out);
}

}  // namespace

void append_reply(std::string& out, const Reply& reply, bool utf8) {
  const std::string code = std::to_string(reply.code);
  const std::string enhanced = reply.enhanced.present() ? reply.enhanced.to_string() + " " : "";
  std::string_view rest = reply.text;
  bool last = false;
  while (!last) {
    const auto newline = rest.find('\n');
    last = newline == std::string_view::npos;
    const std::string_view line = rest.substr(0, std::min(newline, text_octets_max));
    if (!last) rest.remove_prefix(newline + 1);
    out += code;
    out += last ? ' ' : '-';
    out += enhanced;
    append_shown(out, line, utf8);
    out += "\r\n";
  }
}

Reply line_too_long() { return {500, {5, 5, 2}, "Line too long"}; }

Reply message_too_big() { return {552, {5, 3, 4}, "Message is bigger than the limit"}; }

Reply foreign_protocol() { return {521, {5, 5, 1}, "This is a mail server"}; }

}  // namespace mansio::smtp
