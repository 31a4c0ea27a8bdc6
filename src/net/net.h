// Real sockets behind the ports of base/stream.h: TCP and Unix sockets over Asio, TLS over OpenSSL.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

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

/// Throws std::system_error (address in use, permission, bad address). `executor`: where accept()
/// runs.
std::unique_ptr<Listener> listen(boost::asio::any_io_executor executor, const Endpoint& endpoint);

/// Takes a listening descriptor over (socket activation).
std::unique_ptr<Listener> adopt_listener(boost::asio::any_io_executor executor, int descriptor);

/// Names in an endpoint are resolved by the system's resolver, off the loops.
std::unique_ptr<Connector> make_connector(Clock& clock);

/// Raises the soft descriptor limit to the hard one; gives the limit that holds then.
std::size_t raise_descriptor_limit();

/// systemd: READY=1, STOPPING=1, RELOADING=1 and the like; does nothing without NOTIFY_SOCKET.
void notify_service_manager(const std::string& state);

/// True if `address` (an IP address) lies in `network` ("127.0.0.0/8", "::1", "2001:db8::/32").
bool in_network(std::string_view address, std::string_view network);
/// False if `network` is not an address or a CIDR block.
bool valid_network(std::string_view network);
/// What counts as one client: the address of IPv4, the /64 of IPv6 ("2001:db8::/64"), all of which
/// one host may have. What is no IP address comes back as it is.
std::string client_network(std::string_view address);

}  // namespace mansio::net
