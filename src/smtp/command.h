// Command lines of SMTP and LMTP as a client sends them: the verb, and the paths and parameters of
// MAIL and RCPT (RFC 5321 §4.1.1, 1870, 6152, 3030, 3461, 6531, 6533). Pure: text in, values or a
// reply out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "message/envelope.h"
#include "message/reply.h"

namespace mansio::smtp {

enum class Verb : std::uint8_t {
  ehlo,
  helo,
  lhlo,
  mail,
  rcpt,
  data,
  rset,
  noop,
  vrfy,
  expn,
  help,
  quit,
  starttls,
  auth,     ///< known, not offered
  bdat,     ///< octets that are no commands follow
  foreign,  ///< a verb of HTTP: another protocol speaks
  unknown,
};

/// A view into the line that was parsed.
struct CommandLine {
  Verb verb = Verb::unknown;
  std::string_view argument;  ///< without the spaces around it
};

/// `line`: without its line end. Never fails: what is not a command is `unknown`.
CommandLine parse_command_line(std::string_view line);

/// True if `line` holds control octets (NUL included), which no command may.
bool has_control_octets(std::string_view line);

/// True if a name given with EHLO, HELO or LHLO can be taken: 1 to 255 octets of printable ASCII
/// without spaces. It is not verified (RFC 5321 §4.1.4).
bool valid_client_name(std::string_view name);

/// True if `line`, or the beginning of one, is a BDAT: whatever is wrong with it, octets that are
/// no commands follow.
bool announces_octets(std::string_view line);

struct MailCommand {
  Address reverse_path;
  std::uint64_t size = 0;  ///< SIZE=, 0 if absent
  BodyType body = BodyType::seven_bit;
  bool smtputf8 = false;
  DsnReturn dsn_return = DsnReturn::unspecified;
  std::string envelope_id;
};

/// `argument` of MAIL, "FROM:<a@b> SIZE=10". Otherwise the reply: 501 5.5.4 for syntax and for a
/// parameter that is given twice or has a bad value, 501 5.1.7 for a bad path, 553 5.6.7 for one
/// that needs SMTPUTF8 without that parameter, 555 5.5.4 for a parameter that is not offered.
std::variant<MailCommand, Reply> parse_mail(std::string_view argument);

/// `argument` of RCPT, "TO:<a@b> NOTIFY=NEVER". As parse_mail, with 501 5.1.3 for a bad path.
/// `smtputf8`: MAIL had that parameter.
std::variant<Recipient, Reply> parse_rcpt(std::string_view argument, bool smtputf8);

/// `argument` of BDAT (RFC 3030 §2): "SIZE" or "SIZE LAST".
struct BdatCommand {
  std::uint64_t size = 0;  ///< octets; below 2^63
  bool last = false;
};

/// nullopt: nobody can know how many octets follow.
std::optional<BdatCommand> parse_bdat(std::string_view argument);

}  // namespace mansio::smtp
