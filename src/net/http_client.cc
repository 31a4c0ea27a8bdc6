#include "net/http_client.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <limits>
#include <optional>

#include "base/stream.h"
#include "base/text.h"

namespace mansio::net {
namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;
// Asynchronous under the surface, since only that has a time limit; the caller blocks in run().
using TimedStream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;

/// Where a URL points: a path, or host and port.
std::optional<Endpoint> endpoint_of_url(std::string_view url) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  if (url.starts_with(kUnix)) {
    auto endpoint = Endpoint::parse(url.substr(kUnix.size()));
    return endpoint && endpoint->is_unix() ? endpoint : std::nullopt;
  }
  if (!url.starts_with(kHttp)) return std::nullopt;
  url.remove_prefix(kHttp.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  auto endpoint = Endpoint::parse(url);
  if (endpoint && !endpoint->is_unix()) return endpoint;
  const auto with_port = std::string(url) + ":80";
  endpoint = Endpoint::parse(with_port);
  return endpoint && !endpoint->is_unix() ? endpoint : std::nullopt;
}

class Exchange {
 public:
  Exchange(Endpoint endpoint, Duration timeout)
      : endpoint_(std::move(endpoint)), stream_(context_) {
    stream_.expires_after(timeout);
  }

  ErrorCode connect() {
    ErrorCode result;
    if (endpoint_.is_unix()) {
      const boost::asio::local::stream_protocol::endpoint path(endpoint_.address);
      stream_.async_connect(path, [&](const ErrorCode& error) { result = error; });
      context_.run();
      return result;
    }
    tcp::resolver resolver(context_);
    const auto addresses =
        resolver.resolve(endpoint_.address, std::to_string(endpoint_.port), result);
    if (result) return result;
    std::vector<boost::asio::generic::stream_protocol::endpoint> generic;
    for (const auto& address : addresses) generic.emplace_back(address.endpoint());
    stream_.async_connect(generic, [&](const ErrorCode& error, const auto&) { result = error; });
    context_.run();
    return result;
  }

  ErrorCode exchange(http::request<http::string_body>& request,
                     http::response_parser<http::string_body>& parser) {
    ErrorCode written;
    http::async_write(stream_, request,
                      [&](const ErrorCode& error, std::size_t) { written = error; });
    context_.restart();
    context_.run();
    // A server that refuses may answer and close before it has read all: look for the answer.
    ErrorCode read;
    http::async_read(stream_, buffer_, parser,
                     [&](const ErrorCode& error, std::size_t) { read = error; });
    context_.restart();
    context_.run();
    return read && written ? written : read;
  }

 private:
  Endpoint endpoint_;
  boost::asio::io_context context_;
  TimedStream stream_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace

bool valid_http_url(std::string_view url) { return endpoint_of_url(url).has_value(); }

HttpResult http_request(std::string_view url, std::string_view method, std::string_view target,
                        std::string_view body, const std::map<std::string, std::string>& headers,
                        Duration timeout) {
  HttpResult result;
  const auto endpoint = endpoint_of_url(url);
  if (!endpoint) {
    result.error = escape(url) + ": expected http://HOST:PORT or unix:/PATH";
    return result;
  }
  try {
    Exchange exchange(*endpoint, timeout);
    if (const auto error = exchange.connect()) {
      result.error = "connect to " + std::string(url) + ": " + error.message();
      return result;
    }
    http::request<http::string_body> request;
    request.version(11);
    request.method_string({method.data(), method.size()});
    request.target({target.data(), target.size()});
    request.set(http::field::host, endpoint->is_unix() ? "localhost" : endpoint->to_string());
    request.set(http::field::user_agent, "mansio");
    for (const auto& [name, value] : headers) request.set(name, value);
    request.keep_alive(false);
    request.body() = std::string(body);
    request.prepare_payload();

    http::response_parser<http::string_body> parser;
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());
    if (const auto error = exchange.exchange(request, parser)) {
      result.error = std::string(url) + ": " + error.message();
      return result;
    }
    auto response = parser.release();
    result.status = static_cast<int>(response.result_int());
    for (const auto& field : response) {
      result.headers[to_lower(std::string(field.name_string()))] = std::string(field.value());
    }
    result.body = std::move(response.body());
  } catch (const std::exception& error) {
    result.error = std::string(url) + ": " + error.what();
  }
  return result;
}

}  // namespace mansio::net
