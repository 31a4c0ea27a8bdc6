#include "net/connection.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstring>
#include <system_error>

namespace mansio::net {
namespace {

/// Operations in a row that may complete at once before the loop gets its turn.
constexpr unsigned kImmediateMax = 16;

SteadyTime now() { return std::chrono::floor<Duration>(std::chrono::steady_clock::now()); }

/// Closing a TCP socket with unread input resets it, and the reset can overtake our last reply:
/// take a bounded amount of what is there first.
void drain_input(int descriptor) {
  std::array<char, 4096> ignored;
  for (int i = 0; i < 16; ++i) {
    if (::recv(descriptor, ignored.data(), ignored.size(), MSG_DONTWAIT) <= 0) return;
  }
}

}  // namespace

Connection::Connection(Socket its_socket)
    : socket(std::move(its_socket)), timer(socket.get_executor()) {}

void Connection::set_timer() {
  timer_at = deadline;
  timer.expires_at(timer_at);
  timer.async_wait([weak = weak_from_this()](ErrorCode error) {
    const auto self = weak.lock();
    if (!self || error || self->closed) return;
    self->timer_at = SteadyTime::max();
    if (self->waiting == 0) return;  // the next operation that waits sets it
    if (self->deadline > now()) {
      if (self->deadline != SteadyTime::max()) self->set_timer();
      return;
    }
    self->expired = true;
    ErrorCode ignored;
    self->socket.cancel(ignored);
  });
}

ErrorCode Connection::arm() {
  if (deadline >= timer_at) return {};
  // Years ahead is never, and would overflow the clock's nanoseconds.
  const auto present = now();
  if (deadline > present + std::chrono::days(3650)) return {};
  if (deadline <= present) {
    expired = true;
    return boost::asio::error::timed_out;
  }
  set_timer();
  return {};
}

ErrorCode Connection::begin_waiting() {
  immediate = 0;
  ++waiting;
  return arm();
}

ErrorCode Connection::waited(ErrorCode error) {
  --waiting;
  if (closed) return boost::asio::error::operation_aborted;
  if (expired) return boost::asio::error::timed_out;
  return error;
}

Task<ErrorCode> Connection::wait(std::shared_ptr<Connection> self, Socket::wait_type what) {
  ErrorCode error = self->begin_waiting();
  if (!error) {
    const auto [ended] =
        co_await self->socket.async_wait(what, boost::asio::as_tuple(boost::asio::use_awaitable));
    error = ended;
  }
  co_return self->waited(error);
}

Task<ErrorCode> Connection::receive(std::shared_ptr<Connection> self, std::span<char> buffer,
                                    std::size_t& octets) {
  ErrorCode error = self->begin_waiting();
  if (!error) {
    const auto [ended, got] =
        co_await self->socket.async_receive(boost::asio::buffer(buffer.data(), buffer.size()),
                                            boost::asio::as_tuple(boost::asio::use_awaitable));
    error = ended;
    octets = got;
  }
  co_return self->waited(error);
}

bool Connection::ran_long() { return ++immediate >= kImmediateMax; }

Task<void> Connection::share_the_loop(std::shared_ptr<Connection> self) {
  self->immediate = 0;
  co_await boost::asio::post(boost::asio::use_awaitable);
}

ErrorCode Connection::fail(ErrorCode error) {
  failed = true;
  return error;
}

void Connection::close() {
  if (closed) return;
  closed = true;
  timer.cancel();
  if (!failed && socket.is_open()) {
    if (ssl && SSL_is_init_finished(ssl.get()) != 0) SSL_shutdown(ssl.get());  // best effort
    if (!local.is_unix()) drain_input(socket.native_handle());
  }
  ErrorCode ignored;
  socket.close(ignored);
}

Endpoint endpoint_of(const sockaddr* address, std::size_t size) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET || address->sa_family == AF_INET6) {
    boost::asio::ip::tcp::endpoint internet;
    std::memcpy(internet.data(), address, std::min(size, internet.capacity()));
    endpoint.address = internet.address().to_string();
    endpoint.port = internet.port();
  } else if (address->sa_family == AF_UNIX && size > offsetof(sockaddr_un, sun_path)) {
    const auto* path = reinterpret_cast<const sockaddr_un*>(address)->sun_path;
    endpoint.address.assign(path, ::strnlen(path, size - offsetof(sockaddr_un, sun_path)));
  }
  return endpoint;
}

void name_ends(Connection& connection) {
  ErrorCode ignored;
  const auto local = connection.socket.local_endpoint(ignored);
  if (!ignored) connection.local = endpoint_of(local.data(), local.size());
  const auto peer = connection.socket.remote_endpoint(ignored);
  if (!ignored) connection.peer = endpoint_of(peer.data(), peer.size());
  // The connecting end of a Unix socket has no name.
  if (connection.local.address.empty()) connection.local = connection.peer;
  if (connection.peer.address.empty()) connection.peer = connection.local;
}

boost::asio::generic::stream_protocol::endpoint system_endpoint(const Endpoint& endpoint) {
  if (endpoint.is_unix()) {
    if (endpoint.address.size() >= sizeof(sockaddr_un::sun_path)) {
      throw std::system_error(ENAMETOOLONG, std::generic_category(), endpoint.address);
    }
    return boost::asio::local::stream_protocol::endpoint(endpoint.address);
  }
  ErrorCode error;
  const auto address = boost::asio::ip::make_address(endpoint.address, error);
  if (error) {
    throw std::system_error(EINVAL, std::generic_category(),
                            endpoint.address + " is not an IP address");
  }
  return boost::asio::ip::tcp::endpoint(address, endpoint.port);
}

}  // namespace mansio::net
