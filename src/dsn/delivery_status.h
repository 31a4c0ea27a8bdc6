// The machine-readable part of a notice: message/delivery-status (RFC 3464 §2). Pure.
#pragma once

#include <string>

#include "dsn/bounce_builder.h"

namespace mansio::dsn {

/// x.y.z for the Status field, of the class that the outcome has: the peer's where it fits, X.4.7
/// for an expired lifetime, else x.0.0. A failure keeps the class of its last reply.
EnhancedCode status_of(const Disposition& disposition);

/// True if `disposition.reply` is what a mail server answered, not a finding of ours.
bool peer_spoke(const Disposition& disposition);

/// The fields per message, then one block per recipient. Lines ended by CRLF; 7-bit unless
/// is_international(request).
std::string delivery_status(const NoticeRequest& request);

}  // namespace mansio::dsn
