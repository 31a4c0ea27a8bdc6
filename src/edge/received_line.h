// The trace field that every accepted message begins with (RFC 5321 §4.4). Pure.
#pragma once

#include <string>

#include "base/id.h"
#include "base/time.h"
#include "message/envelope.h"

namespace mansio::edge {

/// "Received: from NAME ([ADDRESS])" CRLF and so on, folded, ended by CRLF. `for` is given only for
/// a single recipient. What the client said about itself cannot break out of its place.
std::string received_line(const Envelope& envelope, const std::string& hostname, const QueueId& id,
                          Time now);

}  // namespace mansio::edge
