#include "delivery/attempt_log.h"

#include <utility>

#include "base/log.h"

namespace mansio::delivery {

void log_attempt(const Message& message, std::uint32_t recipient, std::uint32_t attempt,
                 const Disposition& disposition) {
  if (!log::enabled(log::Level::debug)) return;
  const Recipient& who = message.envelope.recipients.at(recipient);
  log::debug("attempt")
      .field("id", message.id.to_string())
      .field("recipient", who.address.to_string())
      .field("outcome", to_text(disposition.outcome))
      .field("stage", to_text(disposition.stage))
      .field("cause", to_text(disposition.cause))
      .field("code", disposition.reply.code)
      .field("enhanced",
             disposition.reply.enhanced.present() ? disposition.reply.enhanced.to_string() : "")
      .field("text", disposition.reply.text)
      .field("host", disposition.host)
      .field("address", disposition.address)
      .field("tls", disposition.tls)
      .field("tries", attempt)
      .field("may_be_duplicate", disposition.in_doubt);
}

}  // namespace mansio::delivery
