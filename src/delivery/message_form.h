// In which form a message goes to a host: what its content and addresses need, and what the host
// offers (RFC 6152, 3030, 6531). Pure, but for reading the content.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "delivery/failure_policy.h"
#include "mansio/target.hpp"
#include "message/message.h"
#include "smtp/client.h"

namespace mansio::delivery {

/// True if no host without SMTPUTF8 can have the message, whoever its recipients are: the local
/// part of the sender, or the header of mail that came with SMTPUTF8, is not ASCII.
bool needs_smtputf8(const Message& message);

/// True if this recipient can be named to the host: everybody with SMTPUTF8; without it those whose
/// address is ASCII, or has an ASCII form.
bool can_be_named(const Address& recipient, const smtp::Extensions& offered);

/// Why the host cannot have the message, or one recipient of it: 553 5.6.7.
Event lacks_smtputf8(const char* what);

/// How the message is announced and sent, if it can go to the host.
struct MessageForm {
  smtp::MailFacts facts;
  bool to_seven_bit = false;                     ///< the content must become 7-bit first
  bool to_text = false;                          ///< the content must not stay binary
  std::shared_ptr<const std::string> converted;  ///< instead of the content as stored; may be null
  std::optional<Event> failure;                  ///< it cannot: for all recipients

  bool needs_conversion() const { return to_seven_bit || to_text; }
};

/// Decides on BODY= and SMTPUTF8, and what must be converted because the host lacks 8BITMIME or
/// BINARYMIME; messages over `conversion_max` octets cannot be. `facts.smtputf8` is asked where it
/// is offered and the message needs it; the caller adds what its recipients need.
MessageForm form_for(const Message& message, const smtp::Extensions& offered,
                     std::uint64_t conversion_max);

/// Fills in `converted`, with the facts that follow from it, or `failure`. REQUIRES:
/// form.needs_conversion(), no failure.
Task<void> convert(MessageForm& form, const Message& message, ContentReader& content);

}  // namespace mansio::delivery
