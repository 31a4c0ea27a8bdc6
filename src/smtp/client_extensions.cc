#include "smtp/client_extensions.h"

#include <string>
#include <vector>

#include "base/text.h"

namespace mansio::smtp {

Extensions parse_extensions(std::string_view text) {
  Extensions offered;
  const std::vector<std::string_view> lines = split(text, '\n');
  for (std::size_t i = 1; i < lines.size(); ++i) {
    std::string line = to_lower(trim(lines[i]));
    // "AUTH=PLAIN" is the spelling of drafts before RFC 2554, still sent by old servers.
    if (line.starts_with("auth=")) line[4] = ' ';
    const std::vector<std::string_view> words = split(line, ' ');
    const std::string_view keyword = words.front();
    if (keyword == "pipelining") offered.pipelining = true;
    if (keyword == "8bitmime") offered.eight_bit_mime = true;
    if (keyword == "smtputf8") offered.smtputf8 = true;
    if (keyword == "dsn") offered.dsn = true;
    if (keyword == "chunking") offered.chunking = true;
    if (keyword == "binarymime") offered.binarymime = true;
    if (keyword == "starttls") offered.starttls = true;
    if (keyword == "size") {
      offered.size = true;
      if (words.size() > 1) offered.size_max = parse_decimal(words[1]).value_or(0);
    }
    if (keyword == "auth") {
      for (const std::string_view mechanism : words) {
        if (mechanism == "plain") offered.auth_plain = true;
        if (mechanism == "login") offered.auth_login = true;
      }
    }
  }
  return offered;
}

}  // namespace mansio::smtp
