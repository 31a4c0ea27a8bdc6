// OpenSSL under a connection. Private to net/.
#pragma once

#include <memory>
#include <string>

#include "net/connection.h"

namespace mansio::net {

/// Handshake on `connection`, whose reads and writes go through TLS from then on.
Task<Result<TlsInfo>> handshake(std::shared_ptr<Connection> connection, TlsContext& context,
                                bool as_server, std::string server_name);

/// As recv/send on the socket that never blocks: octets, or would_block with what to wait for.
struct TlsProgress {
  std::size_t octets = 0;
  ErrorCode error;  ///< would_block: wait for `wait_for` and try again
  Socket::wait_type wait_for = Socket::wait_read;
};

TlsProgress tls_read(Connection& connection, std::span<char> buffer);
TlsProgress tls_write(Connection& connection, std::string_view octets);
bool tls_has_input(Connection& connection);

}  // namespace mansio::net
