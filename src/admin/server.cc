#include "admin/server.h"

#include <stdexcept>

#include "base/assert.h"
#include "base/log.h"
#include "net/net.h"

namespace mansio::admin {

AdminServer::AdminServer(boost::asio::any_io_executor executor, Queue& queue, Clock& clock,
                         ApiOptions options)
    : executor_(std::move(executor)),
      clock_(clock),
      api_(std::make_shared<AdminApi>(executor_, queue, clock, std::move(options))) {}

AdminServer::~AdminServer() { MANSIO_ASSERT(servers_.empty()); }

const char* AdminServer::why_refused(const Endpoint& endpoint) {
  if (endpoint.is_unix()) return nullptr;
  const std::string& address = endpoint.address;
  if (net::in_network(address, "127.0.0.0/8") || net::in_network(address, "::1")) return nullptr;
  return "the admin API outside loopback needs TLS and a token: not available in this version";
}

void AdminServer::start(const settings::Settings& settings) {
  std::vector<Endpoint> wanted;
  if (!settings.admin.listen.empty()) {
    const auto endpoint = Endpoint::parse(settings.admin.listen);
    if (!endpoint) {
      throw std::runtime_error("admin.listen: expected ADDRESS:PORT, found " +
                               settings.admin.listen);
    }
    wanted.push_back(*endpoint);
  }
  if (!settings.admin.socket.empty()) wanted.push_back(Endpoint{settings.admin.socket, 0});
  for (const settings::Listener& listener : settings.listeners) {
    if (listener.protocol == "http") wanted.push_back(listener.address);
  }
  for (const Endpoint& endpoint : wanted) {
    if (const char* refusal = why_refused(endpoint)) {
      throw std::runtime_error(endpoint.to_string() + ": " + refusal);
    }
  }
  // All or none: a failure in between leaves nothing open.
  std::vector<std::unique_ptr<net::HttpServer>> opened;
  for (const Endpoint& endpoint : wanted) opened.push_back(open(endpoint));
  servers_ = std::move(opened);
  for (const auto& server : servers_) {
    server->start();
    log::info("admin_listening").field("address", server->local().to_string());
  }
}

std::unique_ptr<net::HttpServer> AdminServer::open(const Endpoint& endpoint) {
  net::HttpLimits limits;
  limits.body = 4ull << 20;  // the largest legal request is a list of 100,000 ids
  const std::shared_ptr<AdminApi> api = api_;
  net::HttpHandler handler = [api](net::HttpRequest request) {
    return api->handle(std::move(request));
  };
  return std::make_unique<net::HttpServer>(executor_, clock_, net::listen(executor_, endpoint),
                                           std::move(handler), limits);
}

Task<void> AdminServer::stop(SteadyTime deadline) {
  for (const auto& server : servers_) co_await server->stop(deadline);
  servers_.clear();
  co_await api_->stop();
}

std::vector<Endpoint> AdminServer::endpoints() const {
  std::vector<Endpoint> all;
  for (const auto& server : servers_) all.push_back(server->local());
  return all;
}

}  // namespace mansio::admin
