// Sockets as ports: what a protocol needs of a connection, and nothing of how it is made.
// net/ implements them over Asio and OpenSSL, testing/ in memory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace mansio {

template <class T>
using Task = boost::asio::awaitable<T>;

/// An IP address and port, or the path of a Unix socket.
struct Endpoint {
  std::string address;     ///< "192.0.2.1", "2001:db8::1", or "/run/x.sock"
  std::uint16_t port = 0;  ///< 0 for a Unix socket

  bool is_unix() const { return address.starts_with('/'); }
  bool is_ipv6() const { return !is_unix() && address.find(':') != std::string::npos; }
  /// "192.0.2.1:25", "[2001:db8::1]:25" or the path.
  std::string to_string() const;
  /// Reads to_string()'s forms; also "host:port" with a name as address. nullopt otherwise.
  static std::optional<Endpoint> parse(std::string_view text);
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

/// What a handshake agreed on; empty strings before or without TLS.
struct TlsInfo {
  std::string version;  ///< "TLSv1.3"
  std::string cipher;
  std::string peer_subject;
  bool verified = false;  ///< the peer's certificate chain and name were valid
};

/// A TLS identity and policy, made by net/ from settings; opaque here. Thread safety: shareable.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
};

/// Who is at the other end of a Unix socket, as the kernel says (unix(7), SO_PEERCRED).
struct PeerCredentials {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::int32_t process = 0;
  friend bool operator==(const PeerCredentials&, const PeerCredentials&) = default;
};

/// One connection. Runs on: the executor it was made for. Not thread safe.
/// An error ends the connection: after one, only close() is legal.
/// Errors: timed_out after the deadline, eof at the end, otherwise the system's.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Reads at least one octet into `buffer` (not empty). End of stream is boost::asio::error::eof.
  virtual Task<Result<std::size_t>> read_some(std::span<char> buffer) = 0;
  /// Writes all of the pieces, in order, in as few system calls as possible. The pieces must stay
  /// alive until it completes.
  virtual Task<Result<void>> write(std::vector<boost::asio::const_buffer> pieces) = 0;

  /// Operations that have not completed by then fail with timed_out. Cheap: call it per command.
  virtual void set_deadline(SteadyTime deadline) = 0;

  /// Handshake as server or client. `server_name` is for SNI and verification as client.
  /// REQUIRES: no octet received in plain text is still unread by the caller.
  virtual Task<Result<TlsInfo>> start_tls(TlsContext& context, bool as_server,
                                          std::string server_name) = 0;

  /// True when octets (or the end of stream) are waiting unread: a connection kept for reuse is
  /// stale then. Never blocks.
  virtual bool has_input() = 0;

  /// Ends the connection at once; pending operations fail with operation_aborted. Idempotent.
  virtual void close() = 0;

  virtual Endpoint local() const = 0;
  virtual Endpoint peer() const = 0;

  /// nullopt: not a Unix socket, or the kernel does not say.
  virtual std::optional<PeerCredentials> peer_credentials() const { return std::nullopt; }
};

/// Accepts connections. Runs on: the executor it was made for.
class Listener {
 public:
  virtual ~Listener() = default;
  /// The stream belongs to `executor`.
  virtual Task<Result<std::unique_ptr<Stream>>> accept(boost::asio::any_io_executor executor) = 0;
  virtual Endpoint local() const = 0;
  virtual void close() = 0;
};

/// Opens connections. Thread safety: any loop may call connect(); the stream belongs to the loop
/// whose coroutine called it.
class Connector {
 public:
  virtual ~Connector() = default;
  /// `source`: local address to bind, empty for the system's choice.
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Endpoint peer, std::string source,
                                                        SteadyTime deadline) = 0;
};

}  // namespace mansio
