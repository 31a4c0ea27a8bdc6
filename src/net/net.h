// Real sockets behind the ports of base/stream.h: TCP and Unix sockets over Asio, TLS over OpenSSL.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"

namespace mansio::net {

struct TlsOptions {
  std::string certificate;  ///< PEM file with the chain; empty: none (client)
  std::string key;          ///< PEM file
  bool verify = false;      ///< client: check chain and name of the peer
  std::string ca_file;      ///< empty: the system's
};

/// TLS 1.2 or newer. Throws std::runtime_error naming the file and what is wrong with it.
std::shared_ptr<TlsContext> make_tls_context(const TlsOptions& options);

/// The permissions of a Unix socket's file where nothing else is asked for: its owner's only.
inline constexpr unsigned private_socket_mode = 0600;

/// Throws std::system_error (address in use, permission, bad address). `executor`: where accept()
/// runs. `socket_mode`: permissions of a Unix socket's file; who may connect is who may write to
/// it.
std::unique_ptr<Listener> listen(boost::asio::any_io_executor executor, const Endpoint& endpoint,
                                 unsigned socket_mode = private_socket_mode);

/// Gives the file of a Unix socket that is open already other permissions. Throws
/// std::system_error.
void set_socket_mode(const Endpoint& endpoint, unsigned socket_mode);

/// Takes a listening descriptor over. Throws std::system_error if it is none.
std::unique_ptr<Listener> adopt_listener(boost::asio::any_io_executor executor, int descriptor);

/// A listening socket that the service manager opened for us.
struct PassedSocket {
  int descriptor = -1;
  std::string name;  ///< FileDescriptorName= of the socket unit
  Endpoint local;
};

/// The sockets that systemd passed at start (sd_listen_fds(3), socket activation). They stay open
/// for the life of the process, so that a listener that a reload closes can be opened again: a port
/// below 1024 could not be bound anew. Thread safety: take() from one thread at a time.
class PassedSockets {
 public:
  explicit PassedSockets(std::vector<PassedSocket> sockets = {}) : sockets_(std::move(sockets)) {}

  /// Takes over what the environment announces, and clears it there. At start, once. Throws
  /// std::system_error for a descriptor that is no listening stream socket.
  static PassedSockets from_environment();

  /// The socket whose address is `endpoint`; null: none was passed.
  std::unique_ptr<Listener> take(boost::asio::any_io_executor executor, const Endpoint& endpoint);
  /// Those that nobody has taken yet: "NAME (ADDRESS)".
  std::vector<std::string> unclaimed() const;

 private:
  std::vector<PassedSocket> sockets_;
  std::set<int> claimed_;
};

/// Connects to `server` and carries octets from `in` to it and from it to `out`, until it ends the
/// connection. False: it does not answer, and nothing was read or written. Blocks the thread.
bool relay_descriptors(int in, int out, const Endpoint& server);

/// Names in an endpoint are resolved by the system's resolver, off the loops.
std::unique_ptr<Connector> make_connector(Clock& clock);

/// The IP addresses of this machine's interfaces, as they are now.
std::vector<std::string> interface_addresses();

/// Raises the soft descriptor limit to the hard one; gives the limit that holds then.
std::size_t raise_descriptor_limit();

/// systemd: READY=1, STOPPING=1, RELOADING=1 and the like; does nothing without NOTIFY_SOCKET.
void notify_service_manager(const std::string& state);

/// How often at least systemd wants to hear WATCHDOG=1 of this process; nullopt: not at all.
std::optional<Duration> watchdog_time();

/// True if `address` (an IP address) lies in `network` ("127.0.0.0/8", "::1", "2001:db8::/32").
bool in_network(std::string_view address, std::string_view network);
/// False if `network` is not an address or a CIDR block.
bool valid_network(std::string_view network);
/// What counts as one client: the address of IPv4, the /64 of IPv6 ("2001:db8::/64"), all of which
/// one host may have. What is no IP address comes back as it is.
std::string client_network(std::string_view address);

}  // namespace mansio::net
