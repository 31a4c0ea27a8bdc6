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
#include "delivery/trace.h"
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
  TraceBook* traces = nullptr;                ///< null: nobody can ask for a trace
};

struct ConnectionOptions {
  bool lmtp = false;
  std::string ehlo;    ///< empty: the address literal of the local end
  std::string source;  ///< local address, empty: the system's choice
  settings::Timeouts timeouts;
  std::string destination;  ///< whose mail it is: for traces
};

/// A session ready for its first transaction, or why there is none.
struct Connected {
  std::unique_ptr<smtp::ClientSession> session;  ///< null: see trouble
  RouteHost host;
  std::string address;  ///< "ip:port" of the peer
  std::string tls;      ///< version and cipher, empty without TLS
  Disposition trouble;
};

/// One attempt at one address, to the state in which MAIL may follow.
struct HostAttempt {
  std::unique_ptr<smtp::ClientSession> session;  ///< null: `event` says why
  Event event;
  bool retry_without_tls = false;  ///< the handshake failed, and the policy allows plain text
  /// The way to this kind of address is closed on this machine (no IPv6, say): no try of the host.
  bool unreachable = false;
  std::string greeting;  ///< the reply's text, where there was one
  std::string hello;     ///< the same of the last EHLO
};

/// `trace`: may be null. Cancellation leaves as system_error (operation_aborted).
Task<HostAttempt> try_host(const ConnectionPorts& ports, const ConnectionOptions& options,
                           const Route& route, const RouteHost& host, bool use_tls,
                           std::shared_ptr<Trace> trace);

/// The hosts in the order of an attempt: no name takes all the tries while others wait.
std::vector<RouteHost> order_for_attempt(std::vector<RouteHost> hosts);

/// Tries the hosts in order, those that failed lately last, at most five addresses (those that
/// cannot be reached by this machine at all do not count). With TLS policy
/// `opportunistic` a failed handshake is followed by one connection without TLS to the same host;
/// with `required` nothing is ever sent in plain text but EHLO and STARTTLS.
Task<Connected> open_connection(ConnectionPorts ports, ConnectionOptions options, Route route);

/// Ends the trace that waits for a session to the destination, where no host could be found.
void note_no_host(const ConnectionPorts& ports, const std::string& destination,
                  const Disposition& failure);

/// The event for an answer that ended or refused something.
Event event_of(const smtp::Answer& answer);

}  // namespace mansio::delivery
