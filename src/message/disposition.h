// The outcome of one attempt for one recipient. One struct, from the wire to the history. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "message/reply.h"

namespace mansio {

enum class Outcome : std::uint8_t { delivered, deferred, failed, expired };

/// Where in an attempt it was decided.
enum class Stage : std::uint8_t {
  none, route, connect, greeting, ehlo, starttls, auth, mail, rcpt, data, body, final_dot, quit, local
};

/// Why, where the reply alone does not say.
enum class Cause : std::uint8_t {
  reply,        ///< the peer said so
  network,      ///< refused, reset, unreachable
  timeout,
  protocol,     ///< the peer broke the protocol
  dns,
  tls,
  policy,       ///< our settings forbid it
  extension,    ///< the peer lacks what the message needs
  local,        ///< disk, limit, shutdown, script: never counts as a try
  missing,      ///< the target gave no status: counted as a fault of ours
  operator_,    ///< bounced or removed by hand
  lifetime,     ///< expired
  tries,        ///< tries_max reached
};

const char* to_text(Outcome outcome);
const char* to_text(Stage stage);
const char* to_text(Cause cause);

/// Absent text fields are empty strings.
struct Disposition {
  Outcome outcome = Outcome::deferred;
  Reply reply;                 ///< the peer's reply, or ours with its code where no peer spoke
  Stage stage = Stage::none;
  Cause cause = Cause::reply;
  std::string host;            ///< name of the host that was talked to (Remote-MTA)
  std::string address;         ///< its "ip:port"
  std::string tls;             ///< version and cipher used, empty if none
  bool counts_as_try = true;   ///< false: a local cause; tries stay as they were
  bool peer_has_dsn = false;   ///< the peer took over the duty to report (RFC 3461 §5.2)
  bool in_doubt = false;       ///< the final dot was sent and no reply came
  friend bool operator==(const Disposition&, const Disposition&) = default;
};

}  // namespace mansio
