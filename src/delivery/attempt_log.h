// The log line of an attempt for one recipient, at level debug: the queue logs the outcome itself.
// The fields are in docs/LOGGING.md.
#pragma once

#include "message/message.h"

namespace mansio::delivery {

/// `recipient` is an index into the envelope, `attempt` the tries before this one.
void log_attempt(const Message& message, std::uint32_t recipient, std::uint32_t attempt,
                 const Disposition& disposition);

}  // namespace mansio::delivery
