// The command lines a client sends. Whatever the fields hold, none of these functions gives a line
// with a CR, LF or NUL inside: is_safe_field() is what callers ask first, an assertion is the last
// guard (RFC 5321 §2.3.8; command injection through addresses, ENVID, ORCPT or names). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "message/envelope.h"
#include "smtp/client_extensions.h"

namespace mansio::smtp {

/// No control octet (RFC 5321 §4.1.2 allows none in a path or parameter).
bool is_safe_field(std::string_view field);

/// True if every part of the envelope that becomes part of MAIL is safe.
bool is_safe_sender(const Envelope& envelope);
/// True if every part that becomes part of RCPT is safe.
bool is_safe_recipient(const Recipient& recipient);

/// What the message needs, besides its envelope.
struct MailFacts {
  std::uint64_t size = 0;  ///< octets of the content as it will be sent
  bool eight_bit = false;  ///< asks BODY=8BITMIME
  bool binary = false;     ///< asks BODY=BINARYMIME: the content goes by BDAT (RFC 3030)
  bool smtputf8 = false;   ///< asks SMTPUTF8
};

/// "MAIL FROM:<…> …CRLF": SIZE, BODY, SMTPUTF8, RET and ENVID only where offered (RFC 5321 §4.1.1).
/// Without SMTPUTF8 a U-label leaves as its A-label. REQUIRES: ascii_address() of the reverse path,
/// or SMTPUTF8 asked and offered; for `binary` CHUNKING and BINARYMIME offered.
std::string mail_command(const Envelope& envelope, const MailFacts& facts,
                         const Extensions& offered);
/// "RCPT TO:<…> …CRLF": NOTIFY and ORCPT exactly as received, only where DSN is offered (a utf-8
/// address in its ASCII form where SMTPUTF8 is not asked, RFC 6533 §3). An ORCPT of our own is
/// added only if the address leaves in another form than it came (RFC 3461 §5.2.1). REQUIRES: as
/// mail_command().
std::string rcpt_command(const Recipient& recipient, const MailFacts& facts,
                         const Extensions& offered);
/// "BDAT size CRLF", or with LAST.
std::string bdat_command(std::size_t octets, bool last);
/// "VERB argumentCRLF", or "VERBCRLF" if the argument is empty.
std::string simple_command(std::string_view verb, std::string_view argument = {});

/// RFC 4648 §4, as AUTH needs it.
std::string base64(std::string_view octets);

}  // namespace mansio::smtp
