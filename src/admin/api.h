// The admin API: HTTP requests in, operations of the queue, JSON out. It owns no socket and no
// thread; AdminServer (server.h) connects it to listeners, the tests call it directly.
//
// Who may call: peers on loopback and on a Unix socket, without a token. The order of the refusals:
//   403 not loopback · 421 foreign Host (DNS rebinding) · 403 foreign Origin · 404 no such path ·
//   405 wrong method · 415 a change that is not JSON · 400 an unknown or wrong field, named
// Everything that is not in routes() is denied. The queue logs every change: who, what, how many.
// The answers are in api.cc (messages, health), api_changes.cc (bulk verbs and jobs), api_lanes.cc
// (lanes, suspensions, the daemon as a whole) and api_tools.cc (probe, trace).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "admin/jobs.h"
#include "admin/metrics.h"
#include "admin/routes.h"
#include "delivery/probe.h"
#include "delivery/trace.h"
#include "net/http_server.h"
#include "queue/queue.h"

namespace mansio::admin {

struct ApiOptions {
  std::string version;
  std::vector<std::string> hosts;  ///< names in Host that are ours, besides the loopback names
  std::function<std::vector<ListenerStatistics>()> listeners;  ///< any thread; may be empty
  /// Notices of other servers by kind; any thread; may be empty.
  std::function<std::vector<std::pair<std::string, std::uint64_t>>()> bounces;
  /// Reads the configuration again; what is wrong with it, or nothing. Empty: there is none to
  /// read.
  std::function<std::string()> reload;
  /// Looks at a destination for mail of `sender`. Empty: not available.
  std::function<Task<delivery::ProbeReport>(std::string destination, std::string sender)> probe;
  delivery::TraceBook* traces = nullptr;  ///< outlives the API; null: not available
};

/// Runs on: `executor`; calls may run concurrently there. `queue` and `clock` outlive it.
class AdminApi {
 public:
  AdminApi(boost::asio::any_io_executor executor, Queue& queue, Clock& clock, ApiOptions options);

  /// Never throws for what a client sends.
  Task<net::HttpResponse> handle(net::HttpRequest request);
  /// Ends the bulk verbs that still run, each after the page it is at. Before destruction.
  Task<void> stop();

 private:
  using Values = std::map<std::string, std::string>;

  std::optional<net::HttpResponse> refuse_caller(const net::HttpRequest& request) const;
  /// `number`: what stands in the place of {number}, 0 if it is none.
  Task<net::HttpResponse> dispatch(const Route& route, QueueId id, std::uint64_t number,
                                   Values values, const net::HttpRequest& request);
  /// Changes of no message, with the values of their body.
  Task<net::HttpResponse> control(const Route& route, Values values, std::string actor);

  Task<net::HttpResponse> status();
  Task<net::HttpResponse> summary();
  Task<net::HttpResponse> list(Values values);
  Task<net::HttpResponse> show(QueueId id);
  Task<net::HttpResponse> content(QueueId id, Values values);
  Task<net::HttpResponse> history(QueueId id);
  Task<net::HttpResponse> why(QueueId id);
  Task<net::HttpResponse> change(const Route& route, const net::HttpRequest& request);
  net::HttpResponse jobs();
  net::HttpResponse job(std::uint64_t number, bool cancel);
  Task<net::HttpResponse> lanes(Values values);
  Task<net::HttpResponse> shape(Values values);
  net::HttpResponse suspensions() const;
  Task<net::HttpResponse> suspend(Values values, std::string actor);
  Task<net::HttpResponse> resume(Values values, std::string actor);
  net::HttpResponse drain(bool on, const std::string& reason, const std::string& actor);
  net::HttpResponse reload(const std::string& actor);
  Task<net::HttpResponse> probe(Values values);
  net::HttpResponse ask_trace(const Values& values);
  net::HttpResponse trace(std::uint64_t number, Values values);
  net::HttpResponse forget_trace(std::uint64_t number);
  Task<net::HttpResponse> metrics();
  net::HttpResponse ready() const;
  /// The message with its states of the moment; null: not in the queue.
  Task<Result<std::optional<ListedMessage>>> find(QueueId id);

  Queue& queue_;
  Clock& clock_;
  ApiOptions options_;
  Time started_at_;
  JobBook jobs_;
};

}  // namespace mansio::admin
