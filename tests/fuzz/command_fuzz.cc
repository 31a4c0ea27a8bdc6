// A command line from the network never breaks the parser, and what is accepted keeps its promises.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "smtp/command.h"

using namespace mansio;
using namespace mansio::smtp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const CommandLine command = parse_command_line(line);
  const bool controls = has_control_octets(line);
  valid_client_name(command.argument);
  const auto mail = parse_mail(command.argument);
  if (const auto* reply = std::get_if<Reply>(&mail)) {
    MANSIO_ASSERT(reply->permanent() && reply->enhanced.klass == 5);
  } else {
    const auto& accepted = std::get<MailCommand>(mail);
    MANSIO_ASSERT(accepted.envelope_id.size() <= 100);
    MANSIO_ASSERT(controls || !has_control_octets(accepted.reverse_path.to_string()));
    MANSIO_ASSERT(accepted.smtputf8 || !accepted.reverse_path.needs_utf8());
  }
  const auto rcpt = parse_rcpt(command.argument, (size & 1) != 0);
  if (const auto* reply = std::get_if<Reply>(&rcpt)) {
    MANSIO_ASSERT(reply->permanent() && reply->enhanced.klass == 5);
  } else {
    const auto& accepted = std::get<Recipient>(rcpt);
    MANSIO_ASSERT(!accepted.address.is_null());
    MANSIO_ASSERT(!(accepted.notify.never && accepted.notify.success));
    MANSIO_ASSERT(accepted.original_recipient.size() <= 500);
  }
  return 0;
}
