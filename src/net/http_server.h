// A small HTTP/1.1 server (RFC 9112) for the admin API: requests in, one handler, responses out.
// Parsing is Boost.Beast's, connections are our ports, so it runs over TCP, Unix sockets, memory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/stream.h"
#include "base/task_group.h"

namespace mansio::net {

struct HttpRequest {
  std::string method;                          ///< "GET", as received
  std::string target;                          ///< as received: path and query
  std::string path;                            ///< percent-decoded; starts with '/'
  std::map<std::string, std::string> query;    ///< decoded; of repeated names the last counts
  std::map<std::string, std::string> headers;  ///< names in lower case; repeated: joined by ", "
  std::string body;
  Endpoint peer;
  bool is_unix = false;      ///< came over a Unix socket
  bool is_loopback = false;  ///< the peer's address is 127.0.0.0/8 or ::1

  /// Empty if absent. `name` in lower case.
  std::string_view header(std::string_view name) const;
  /// `fallback` if absent.
  std::string query_or(std::string_view name, std::string_view fallback) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::map<std::string, std::string> headers;  ///< further ones
};

/// {"error": {"code": CODE, "message": MESSAGE}} with the status, as the admin API has it; both are
/// escaped.
HttpResponse http_error(int status, std::string_view code, std::string_view message);
/// Escaped and quoted as a JSON string; octets that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
/// Undoes %XX (and '+' in a query). Broken escapes stay as they are.
std::string percent_decode(std::string_view text, bool plus_is_space = false);

/// Runs on: the loop of the connection. An exception that leaves it is logged and answered with
/// 500.
using HttpHandler = std::function<Task<HttpResponse>(HttpRequest)>;

struct HttpLimits {
  std::uint32_t header = 32u << 10;                   ///< octets; then 431
  std::uint64_t body = 64ull << 20;                   ///< octets; then 413
  Duration header_time = std::chrono::seconds(10);    ///< for a request's header; then 408
  Duration body_time = std::chrono::seconds(60);      ///< for its body; then 408
  Duration response_time = std::chrono::seconds(60);  ///< for the client to take the response
  Duration idle = std::chrono::seconds(60);           ///< between requests; then closed
  std::uint32_t connections = 256;                    ///< then 503 and closed
};

/// Serves one listener. Runs on: the executor given. stop() before destruction.
class HttpServer {
 public:
  HttpServer(boost::asio::any_io_executor executor, Clock& clock,
             std::unique_ptr<Listener> listener, HttpHandler handler, HttpLimits limits = {});
  ~HttpServer();

  void start();
  /// Accepts no more, ends the connections (requests that run get until `deadline`), waits for
  /// them.
  Task<void> stop(SteadyTime deadline);
  Endpoint local() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace mansio::net
