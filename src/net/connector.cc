#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <system_error>

#include "base/event.h"
#include "net/connection.h"
#include "net/net.h"

namespace mansio::net {
namespace {

using boost::asio::ip::tcp;

/// An address to try, or several of a name.
using Addresses = std::vector<Endpoint>;

/// What a look-up and the coroutine that waits for it share: getaddrinfo(3) cannot be interrupted,
/// so at the deadline the coroutine leaves and the answer comes to nobody.
struct Lookup {
  explicit Lookup(boost::asio::any_io_executor executor)
      : resolver(executor), answered(std::move(executor)) {}

  tcp::resolver resolver;
  Event answered;
  std::optional<ErrorCode> error;
  Addresses addresses;
};

Task<Result<Addresses>> resolve(Clock& clock, Endpoint name, SteadyTime deadline) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->resolver.async_resolve(
      name.address, std::to_string(name.port), tcp::resolver::numeric_service,
      [lookup](const ErrorCode& error, const tcp::resolver::results_type& results) {
        lookup->error = error;
        for (const auto& result : results) {
          lookup->addresses.push_back(
              Endpoint{result.endpoint().address().to_string(), result.endpoint().port()});
        }
        lookup->answered.notify_all();
      });
  const auto timer = clock.make_timer(executor);
  const std::weak_ptr<Lookup> weak = lookup;
  timer->start(deadline, [weak] {
    if (const auto waiting = weak.lock()) waiting->answered.notify_all();
  });
  while (!lookup->error && clock.steady_now() < deadline) {
    co_await lookup->answered.wait();
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) {
      co_return ErrorCode(boost::asio::error::operation_aborted);
    }
  }
  if (!lookup->error) co_return ErrorCode(boost::asio::error::timed_out);
  if (*lookup->error) co_return *lookup->error;
  co_return lookup->addresses;
}

bool is_literal(const Endpoint& endpoint) {
  ErrorCode error;
  boost::asio::ip::make_address(endpoint.address, error);
  return endpoint.is_unix() || !error;
}

/// Binds to `source`, whose port the system chooses at connect.
ErrorCode bind_source(Socket& socket, const std::string& source, int family) {
  ErrorCode error;
  const auto address = boost::asio::ip::make_address(source, error);
  if (error) return error;
  if (address.is_v6() != (family == AF_INET6)) {
    return boost::asio::error::address_family_not_supported;
  }
  const int on = 1;
  ::setsockopt(socket.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  socket.bind(tcp::endpoint(address, 0), error);
  return error;
}

Task<Result<std::unique_ptr<Stream>>> connect_one(Endpoint peer, std::string source,
                                                  SteadyTime deadline) {
  const auto executor = co_await boost::asio::this_coro::executor;
  boost::asio::generic::stream_protocol::endpoint system;
  try {
    system = system_endpoint(peer);
  } catch (const std::system_error& error) {
    co_return ErrorCode(error.code().value(), boost::system::generic_category());
  }
  const auto connection = std::make_shared<Connection>(Socket(executor));
  ErrorCode error;
  connection->socket.open(system.protocol(), error);
  if (!error && !source.empty() && !peer.is_unix()) {
    error = bind_source(connection->socket, source, system.protocol().family());
  }
  if (error) co_return error;

  connection->deadline = deadline;
  ++connection->waiting;
  error = connection->arm();
  if (!error) {
    const auto [connected] = co_await connection->socket.async_connect(
        system, boost::asio::as_tuple(boost::asio::use_awaitable));
    error = connected;
  }
  --connection->waiting;
  if (connection->expired) error = boost::asio::error::timed_out;
  if (error) {
    connection->fail(error);
    connection->close();
    co_return error;
  }
  co_return make_socket_stream(connection);
}

class SocketConnector final : public Connector {
 public:
  explicit SocketConnector(Clock& clock) : clock_(clock) {}

  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint peer, std::string source,
                                                SteadyTime deadline) override {
    Addresses addresses{peer};
    if (!is_literal(peer)) {
      auto resolved = co_await resolve(clock_, peer, deadline);
      if (resolved.has_error()) co_return resolved.error();
      addresses = std::move(*resolved);
    }
    ErrorCode last = boost::asio::error::host_not_found;
    for (const auto& address : addresses) {
      auto stream = co_await connect_one(address, source, deadline);
      if (stream.has_value()) co_return stream;
      last = stream.error();
      if (last == boost::asio::error::timed_out || last == boost::asio::error::operation_aborted) {
        break;
      }
    }
    co_return last;
  }

 private:
  Clock& clock_;
};

}  // namespace

std::unique_ptr<Connector> make_connector(Clock& clock) {
  return std::make_unique<SocketConnector>(clock);
}

}  // namespace mansio::net
