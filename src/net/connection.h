// What a socket stream and its pending operations share: the socket, TLS on top of it, deadlines.
// Private to net/. Runs on: the socket's executor.
//
// Deadlines: one timer per connection, touched only when the deadline moves to before the timer's
// time. A timer that fires before the deadline (which has moved on meanwhile) is set again; so a
// session that sets a new deadline per command costs no timer operation per command.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <span>

#include "base/stream.h"

namespace mansio::net {

using Socket = boost::asio::generic::stream_protocol::socket;

struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

struct Connection : std::enable_shared_from_this<Connection> {
  explicit Connection(Socket its_socket);

  Socket socket;
  boost::asio::steady_timer timer;
  SteadyTime deadline = SteadyTime::max();
  SteadyTime timer_at = SteadyTime::max();  ///< when the timer fires; max: it is not set
  unsigned waiting = 0;                     ///< operations that wait for the socket
  unsigned immediate = 0;                   ///< operations in a row that did not have to wait
  bool drained = false;                     ///< the last read left nothing
  bool closed = false;
  bool expired = false;
  bool failed = false;
  std::unique_ptr<SSL, SslDeleter> ssl;  ///< null: plain text
  Endpoint local;
  Endpoint peer;

  /// Waits until the socket is ready or the deadline passes. No error: try again.
  static Task<ErrorCode> wait(std::shared_ptr<Connection> self, Socket::wait_type what);
  /// Reads what comes next, without TLS: waits for it if nothing is there, as above.
  static Task<ErrorCode> receive(std::shared_ptr<Connection> self, std::span<char> buffer,
                                 std::size_t& octets);
  /// Counts an operation that did not have to wait. True: there were many; share_the_loop().
  bool ran_long();
  /// Lets other coroutines run.
  static Task<void> share_the_loop(std::shared_ptr<Connection> self);
  /// Sees to it that an operation that waits from now on ends at the deadline.
  ErrorCode arm();
  /// Marks the connection as broken; gives the error that the caller of the operation sees.
  ErrorCode fail(ErrorCode error);
  void close();

 private:
  ErrorCode begin_waiting();
  ErrorCode waited(ErrorCode error);
  void set_timer();
};

/// A connected socket as a stream: not blocking, TCP_NODELAY, closed on exec.
std::unique_ptr<Stream> make_socket_stream(std::shared_ptr<Connection> connection);

/// Fills in local and peer from the socket. For Unix sockets both are the listener's path.
void name_ends(Connection& connection);

/// The address that the system's structure holds.
Endpoint endpoint_of(const sockaddr* address, std::size_t size);

/// Takes `endpoint` (an IP address or a path) into the system's structure. Throws
/// std::system_error for anything else.
boost::asio::generic::stream_protocol::endpoint system_endpoint(const Endpoint& endpoint);

}  // namespace mansio::net
