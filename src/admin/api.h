// The admin API: HTTP requests in, operations of the queue, JSON out. It owns no socket and no
// thread; AdminServer (server.h) connects it to listeners, the tests call it directly.
//
// Who may call: peers on loopback and on a Unix socket, without a token. The order of the refusals:
//   403 not loopback · 421 foreign Host (DNS rebinding) · 403 foreign Origin · 404 no such path ·
//   405 wrong method · 415 a change that is not JSON · 400 an unknown or wrong field, named
// Everything that is not in routes() is denied. The queue logs every change: who, what, how many.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/metrics.h"
#include "admin/routes.h"
#include "net/http_server.h"
#include "queue/queue.h"

namespace mansio::admin {

struct ApiOptions {
  std::string version;
  std::vector<std::string> hosts;  ///< names in Host that are ours, besides the loopback names
  std::function<std::vector<ListenerStatistics>()> listeners;  ///< any thread; may be empty
  /// Notices of other servers by kind; any thread; may be empty.
  std::function<std::vector<std::pair<std::string, std::uint64_t>>()> bounces;
};

/// Runs on: any loop; calls may run concurrently. `queue` and `clock` outlive it.
class AdminApi {
 public:
  AdminApi(Queue& queue, Clock& clock, ApiOptions options);

  /// Never throws for what a client sends.
  Task<net::HttpResponse> handle(net::HttpRequest request);

 private:
  using Values = std::map<std::string, std::string>;

  std::optional<net::HttpResponse> refuse_caller(const net::HttpRequest& request) const;
  Task<net::HttpResponse> dispatch(const Route& route, QueueId id, Values values,
                                   const net::HttpRequest& request);

  Task<net::HttpResponse> status();
  Task<net::HttpResponse> summary();
  Task<net::HttpResponse> list(Values values);
  Task<net::HttpResponse> show(QueueId id);
  Task<net::HttpResponse> content(QueueId id, Values values);
  Task<net::HttpResponse> history(QueueId id);
  Task<net::HttpResponse> why(QueueId id);
  Task<net::HttpResponse> change(const Route& route, const net::HttpRequest& request);
  Task<net::HttpResponse> lanes();
  Task<net::HttpResponse> metrics();
  net::HttpResponse ready() const;
  /// The message with its states of the moment; null: not in the queue.
  Task<Result<std::optional<ListedMessage>>> find(QueueId id);

  Queue& queue_;
  Clock& clock_;
  ApiOptions options_;
  Time started_at_;
};

}  // namespace mansio::admin
