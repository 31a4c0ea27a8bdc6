// From a route to an established session: connect, greeting, EHLO, STARTTLS, AUTH, host after host
// until one works. What fails here is about hosts, never about a message.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/stream.h"
#include "delivery/failure_policy.h"
#include "delivery/host_table.h"
#include "delivery/route.h"
#include "message/disposition.h"
#include "settings/settings.h"
#include "smtp/client.h"

namespace mansio::delivery {

/// What opening a connection needs of the world; all of it outlives the connections.
struct ConnectionPorts {
  Connector* connector = nullptr;
  Clock* clock = nullptr;
  HostTable* hosts = nullptr;
  std::shared_ptr<TlsContext> tls;            ///< without verification; null: TLS is never used
  std::shared_ptr<TlsContext> tls_verifying;  ///< for tls = "required" with tls_verify
};

struct ConnectionOptions {
  bool lmtp = false;
  std::string ehlo;    ///< empty: the address literal of the local end
  std::string source;  ///< local address, empty: the system's choice
  settings::Timeouts timeouts;
};

/// A session ready for its first transaction, or why there is none.
struct Connected {
  std::unique_ptr<smtp::ClientSession> session;  ///< null: see trouble
  RouteHost host;
  std::string address;  ///< "ip:port" of the peer
  std::string tls;      ///< version and cipher, empty without TLS
  Disposition trouble;
};

/// Tries the hosts in order, those that failed lately last, at most five. With TLS policy
/// `opportunistic` a failed handshake is followed by one connection without TLS to the same host;
/// with `required` nothing is ever sent in plain text but EHLO and STARTTLS.
Task<Connected> open_connection(ConnectionPorts ports, ConnectionOptions options, Route route);

/// The event for an answer that ended or refused something.
Event event_of(const smtp::Answer& answer);

}  // namespace mansio::delivery
