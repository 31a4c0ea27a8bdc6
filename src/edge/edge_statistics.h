// What the listeners counted since the start, for metrics and status pages.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace mansio::edge {

/// Thread safety: every counter by itself; a reader may see them a moment apart.
struct EdgeStatistics {
  using Counter = std::atomic<std::uint64_t>;

  Counter connections{0};          ///< accepted by a listener, refused ones included
  Counter connections_open{0};     ///< now
  Counter connections_refused{0};  ///< over a limit
  Counter connections_failed{0};   ///< ended by a time-out, a limit or a breach of the protocol
  Counter tls_connections{0};
  Counter messages_accepted{0};
  Counter messages_refused{0};     ///< after the final dot
  Counter recipients_accepted{0};  ///< of accepted messages
  Counter recipients_refused{0};
  Counter relaying_denied{0};        ///< recipients refused since the client may not relay
  Counter octets_accepted{0};        ///< content of accepted messages
  Counter outcomes_unknown{0};       ///< messages that got no reply
  Counter content_streamed{0};       ///< messages whose content went to the spool in pieces
  std::array<Counter, 6> bounces{};  ///< notices taken, by dsn::ReportKind
  Counter bounces_refused{0};        ///< mail to [bounces] without a token of ours
};

}  // namespace mansio::edge
