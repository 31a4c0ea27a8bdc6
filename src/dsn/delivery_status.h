// The machine-readable part of a notice: message/delivery-status (RFC 3464 §2). Pure.
#pragma once

#include <string>

#include "dsn/bounce_builder.h"

namespace mansio::dsn {

/// x.y.z for the Status field: the peer's where it fits the reply, X.4.7 for an expired lifetime,
/// else 5.0.0 or 4.0.0 by the class of the reply.
EnhancedCode status_of(const Disposition& disposition);

/// True if `disposition.reply` is what a mail server answered, not a finding of ours.
bool peer_spoke(const Disposition& disposition);

/// The fields per message, then one block per recipient. 7-bit, lines ended by CRLF.
std::string delivery_status(const NoticeRequest& request);

}  // namespace mansio::dsn
