// One message to one server over SMTP, as the verbs `send` and `sendmail` hand it over.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "message/envelope.h"

namespace mansio::cli {

/// What a server said to one message.
struct Sent {
  struct Refused {
    std::uint32_t recipient = 0;  ///< index in the envelope
    std::string reply;
    bool permanent = false;
  };

  bool connected = false;
  bool accepted = false;   ///< for all recipients that are not in `refused`
  bool permanent = false;  ///< not accepted: the reply that decided was a 5yz
  std::string reply;       ///< the last one that decided
  std::vector<Refused> refused;
};

struct SubmitTimes {
  Duration greeting = std::chrono::minutes(5);
  Duration answer = std::chrono::minutes(5);  ///< to each command, and after the content
};

/// Runs its own event loop on this thread until it is done. `content` has CRLF lines. Throws
/// std::system_error for an address that no socket can have.
Sent submit_message(const Endpoint& server, const Envelope& envelope, const std::string& content,
                    const SubmitTimes& times = {});

/// This machine's name for itself, "localhost" if it has none.
std::string host_name();

}  // namespace mansio::cli
