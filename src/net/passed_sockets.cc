// Socket activation: listening sockets that were opened before us, by somebody with more rights.
#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "net/connection.h"
#include "net/net.h"

namespace mansio::net {
namespace {

struct FreeNames {
  void operator()(char** names) const {
    for (char** name = names; *name != nullptr; ++name) std::free(*name);
    std::free(names);
  }
};

Endpoint local_of(int descriptor, const std::string& name) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::sd_is_socket(descriptor, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "the passed descriptor " + name + " is no listening stream socket");
  }
  return endpoint_of(reinterpret_cast<sockaddr*>(&address), size);
}

}  // namespace

PassedSockets PassedSockets::from_environment() {
  char** raw = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &raw);
  const std::unique_ptr<char*, FreeNames> names(raw);
  if (count < 0) throw std::system_error(-count, std::generic_category(), "LISTEN_FDS");
  std::vector<PassedSocket> sockets;
  for (int i = 0; i < count; ++i) {
    PassedSocket socket;
    socket.descriptor = SD_LISTEN_FDS_START + i;
    socket.name = names && raw[i] != nullptr ? raw[i] : "unnamed";
    socket.local = local_of(socket.descriptor, socket.name);
    sockets.push_back(std::move(socket));
  }
  return PassedSockets(std::move(sockets));
}

std::unique_ptr<Listener> PassedSockets::take(boost::asio::any_io_executor executor,
                                              const Endpoint& endpoint) {
  // In the system's form: an address can be written in several ways.
  const auto system = system_endpoint(endpoint);
  const Endpoint wanted = endpoint_of(system.data(), system.size());
  for (const PassedSocket& socket : sockets_) {
    if (socket.local != wanted) continue;
    const int copy = ::fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
      throw std::system_error(errno, std::generic_category(), endpoint.to_string());
    }
    auto listener = adopt_listener(std::move(executor), copy);
    claimed_.insert(socket.descriptor);
    return listener;
  }
  return nullptr;
}

std::vector<std::string> PassedSockets::unclaimed() const {
  std::vector<std::string> result;
  for (const PassedSocket& socket : sockets_) {
    if (claimed_.contains(socket.descriptor)) continue;
    result.push_back(socket.name + " (" + socket.local.to_string() + ")");
  }
  return result;
}

}  // namespace mansio::net
