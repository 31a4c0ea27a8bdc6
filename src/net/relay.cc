// Carries octets between two descriptors and a Unix or TCP server until both directions have ended.
// For a command that is nothing but the other end of a pipe: it blocks, and runs on no event loop.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "net/connection.h"
#include "net/net.h"

namespace mansio::net {
namespace {

bool write_all(int descriptor, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t count = ::write(descriptor, octets.data(), octets.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// Moves what is there. False: this direction has ended.
bool carry(int from, int to) {
  std::array<char, 16384> buffer;
  const ssize_t count = ::read(from, buffer.data(), buffer.size());
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  return count > 0 && write_all(to, {buffer.data(), static_cast<std::size_t>(count)});
}

}  // namespace

bool relay_descriptors(int in, int out, const Endpoint& server) {
  const auto system = system_endpoint(server);
  const int connection = ::socket(system.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return false;
  if (::connect(connection, system.data(), static_cast<socklen_t>(system.size())) != 0) {
    ::close(connection);
    return false;
  }
  std::array<pollfd, 2> waits{pollfd{connection, POLLIN, 0}, pollfd{in, POLLIN, 0}};
  while (true) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      break;
    }
    if (waits[1].revents != 0 && !carry(in, connection)) {
      ::shutdown(connection, SHUT_WR);
      waits[1].fd = -1;  // the server still has its last words
    }
    if (waits[0].revents != 0 && !carry(connection, out)) break;
  }
  ::close(connection);
  return true;
}

}  // namespace mansio::net
