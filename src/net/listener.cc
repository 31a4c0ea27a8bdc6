#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>

#include "base/log.h"
#include "net/connection.h"
#include "net/net.h"

namespace mansio::net {
namespace {

constexpr auto kPauseWithoutDescriptors = std::chrono::milliseconds(100);

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Out of something that other connections will give back.
bool exhausted(int number) {
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/// The connection failed before we took it (accept(2), "Error handling").
bool passing(int number) {
  return number == EINTR || number == ECONNABORTED || number == EPROTO || number == ENETDOWN ||
         number == ENOPROTOOPT || number == EHOSTDOWN || number == ENONET ||
         number == EHOSTUNREACH || number == EOPNOTSUPP || number == ENETUNREACH;
}

struct Accepting {
  Accepting(boost::asio::any_io_executor executor, int its_descriptor)
      : descriptor(executor, its_descriptor), pause(std::move(executor)) {}

  boost::asio::posix::stream_descriptor descriptor;
  boost::asio::steady_timer pause;
  Endpoint local;
  int family = AF_UNSPEC;
  bool owns_path = false;
  bool closed = false;

  void close() {
    if (closed) return;
    closed = true;
    if (owns_path) ::unlink(local.address.c_str());
    pause.cancel();
    ErrorCode ignored;
    descriptor.close(ignored);
  }
};

Task<Result<std::unique_ptr<Stream>>> accept_one(std::shared_ptr<Accepting> accepting,
                                                 boost::asio::any_io_executor executor) {
  while (!accepting->closed) {
    const int accepted = ::accept4(accepting->descriptor.native_handle(), nullptr, nullptr,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int number = errno;
    if (accepted >= 0) {
      const boost::asio::generic::stream_protocol protocol(accepting->family, 0);
      auto connection = std::make_shared<Connection>(Socket(executor, protocol, accepted));
      co_return make_socket_stream(std::move(connection));
    }
    if (number == EAGAIN || number == EWOULDBLOCK) {
      const auto [error] = co_await accepting->descriptor.async_wait(
          boost::asio::posix::stream_descriptor::wait_read,
          boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return error;
    } else if (exhausted(number)) {
      log::warning("accept_failed")
          .field("listener", accepting->local.to_string())
          .field("error", std::generic_category().message(number));
      accepting->pause.expires_after(kPauseWithoutDescriptors);
      const auto [error] =
          co_await accepting->pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return error;
    } else if (!passing(number)) {
      co_return ErrorCode(number, boost::system::system_category());
    }
  }
  co_return ErrorCode(boost::asio::error::operation_aborted);
}

class SocketListener final : public Listener {
 public:
  explicit SocketListener(std::shared_ptr<Accepting> accepting)
      : accepting_(std::move(accepting)) {}

  ~SocketListener() override { accepting_->close(); }

  Task<Result<std::unique_ptr<Stream>>> accept(boost::asio::any_io_executor executor) override {
    return accept_one(accepting_, std::move(executor));
  }

  Endpoint local() const override { return accepting_->local; }

  void close() override { accepting_->close(); }

 private:
  std::shared_ptr<Accepting> accepting_;
};

std::shared_ptr<Accepting> take_over(boost::asio::any_io_executor executor, int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  int listening = 0;
  socklen_t listening_size = sizeof(listening);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) != 0) {
    fail("descriptor " + std::to_string(descriptor));
  }
  if (listening == 0) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "descriptor " + std::to_string(descriptor) + " does not listen");
  }
  auto accepting = std::make_shared<Accepting>(std::move(executor), descriptor);
  accepting->descriptor.native_non_blocking(true);
  accepting->local = endpoint_of(reinterpret_cast<sockaddr*>(&address), size);
  accepting->family = address.ss_family;
  return accepting;
}

/// A socket file whose owner is gone refuses connections.
bool is_stale(const sockaddr* address, socklen_t size) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, address, size) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

/// bind() takes the file's permissions from the descriptor, less what umask holds back.
void open_to_others(const Endpoint& endpoint, unsigned socket_mode) {
  if (!endpoint.is_unix() || socket_mode == private_socket_mode) return;
  // Nobody listens on it yet, so who connects between the two calls is refused.
  set_socket_mode(endpoint, socket_mode);
}

void bind_or_throw(int descriptor, const Endpoint& endpoint, const sockaddr* address,
                   socklen_t size) {
  if (endpoint.is_unix()) {
    // The socket file takes its permissions from here (unix(7)), so it is never open to others.
    if (::fchmod(descriptor, private_socket_mode) != 0) fail(endpoint.to_string());
  } else {
    const int on = 1;
    ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (endpoint.is_ipv6()) {
      ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
  }
  if (::bind(descriptor, address, size) == 0) return;
  if (endpoint.is_unix() && errno == EADDRINUSE && is_stale(address, size)) {
    ::unlink(endpoint.address.c_str());
    if (::bind(descriptor, address, size) == 0) return;
  }
  fail(endpoint.to_string());
}

}  // namespace

std::unique_ptr<Listener> listen(boost::asio::any_io_executor executor, const Endpoint& endpoint,
                                 unsigned socket_mode) {
  const auto system = system_endpoint(endpoint);
  const int descriptor =
      ::socket(system.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) fail(endpoint.to_string());
  try {
    bind_or_throw(descriptor, endpoint, system.data(), static_cast<socklen_t>(system.size()));
    open_to_others(endpoint, socket_mode);
    if (::listen(descriptor, SOMAXCONN) != 0) fail(endpoint.to_string());
    auto accepting = take_over(std::move(executor), descriptor);
    accepting->owns_path = endpoint.is_unix();
    return std::make_unique<SocketListener>(std::move(accepting));
  } catch (const std::system_error&) {
    ::close(descriptor);
    throw;
  }
}

void set_socket_mode(const Endpoint& endpoint, unsigned socket_mode) {
  if (::chmod(endpoint.address.c_str(), socket_mode) != 0) fail(endpoint.to_string());
}

std::unique_ptr<Listener> adopt_listener(boost::asio::any_io_executor executor, int descriptor) {
  return std::make_unique<SocketListener>(take_over(std::move(executor), descriptor));
}

}  // namespace mansio::net
