#include "net/http_server.h"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <limits>
#include <list>

#include "base/assert.h"
#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "net/net.h"

namespace mansio::net {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t kReadSize = 16384;

/// A connection and what the server needs to know to end it.
struct Session {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Timer> timer;  ///< of the request that is being read
  boost::beast::flat_buffer buffer;
  bool busy = false;  ///< the handler runs, or its response is on the way
};

/// A request, or the response to send instead before the connection ends, or neither: the end.
struct Taken {
  std::optional<HttpRequest> request;
  std::optional<HttpResponse> refusal;
  bool keep_alive = false;
};

HttpResponse refusal_of(const ErrorCode& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return http_error(431, "header_too_large", "the header is too large");
  }
  if (error == http::error::body_limit) {
    return http_error(413, "body_too_large", "the body is too large");
  }
  return http_error(400, "bad_request", "this is not an HTTP/1.1 request");
}

void read_query(std::string_view text, std::map<std::string, std::string>& query) {
  for (const auto pair : split(text, '&')) {
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto value = equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
    query[percent_decode(pair.substr(0, equals), true)] = percent_decode(value, true);
  }
}

/// nullopt: a target that is no path (RFC 9112 §3.2.1).
std::optional<HttpRequest> to_request(http::request<http::string_body> message,
                                      const Stream& stream) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  const std::string_view target = request.target;
  if (!target.starts_with('/')) return std::nullopt;
  const auto question = target.find('?');
  request.path = percent_decode(target.substr(0, question));
  if (question != target.npos) read_query(target.substr(question + 1), request.query);
  for (const auto& field : message) {
    auto& value = request.headers[to_lower(std::string(field.name_string()))];
    if (!value.empty()) value += ", ";
    value += std::string(field.value());
  }
  request.body = std::move(message.body());
  request.peer = stream.peer();
  request.is_unix = stream.local().is_unix();
  request.is_loopback = !request.is_unix && (in_network(request.peer.address, "127.0.0.0/8") ||
                                             in_network(request.peer.address, "::1"));
  return request;
}

Task<ErrorCode> read_more(Session& session) {
  const auto space = session.buffer.prepare(kReadSize);
  const std::span<char> octets(static_cast<char*>(space.data()), space.size());
  const auto got = co_await session.stream->read_some(octets);
  if (got.has_error()) co_return got.error();
  session.buffer.commit(*got);
  co_return ErrorCode();
}

/// Feeds the parser until `done`. An error of the parser is a message that we refuse, one of the
/// stream ends the connection; the category tells them apart.
template <class Done>
Task<ErrorCode> parse(Session& session, Parser& parser, Done done) {
  while (!done(parser)) {
    ErrorCode error;
    if (session.buffer.size() > 0) {
      const auto used = parser.put(session.buffer.data(), error);
      session.buffer.consume(used);
      if (done(parser)) co_return ErrorCode();
      if (error && error != http::error::need_more) co_return error;
    }
    const auto read = co_await read_more(session);
    if (read) co_return read;
  }
  co_return ErrorCode();
}

bool header_is_done(const Parser& parser) { return parser.is_header_done(); }

bool all_is_done(const Parser& parser) { return parser.is_done(); }

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<State> {
  State(boost::asio::any_io_executor its_executor, Clock& its_clock,
        std::unique_ptr<Listener> its_listener, HttpHandler its_handler, HttpLimits its_limits)
      : executor(its_executor),
        clock(its_clock),
        listener(std::move(its_listener)),
        handler(std::move(its_handler)),
        limits(its_limits),
        tasks(its_executor),
        idle(std::move(its_executor)) {}

  boost::asio::any_io_executor executor;
  Clock& clock;
  std::unique_ptr<Listener> listener;
  HttpHandler handler;
  HttpLimits limits;
  TaskGroup tasks;
  Event idle;  ///< a session ended
  std::list<Session*> sessions;
  bool stopping = false;

  SteadyTime in(Duration duration) const { return clock.steady_now() + duration; }

  Task<void> accept() {
    while (!stopping) {
      auto stream = co_await listener->accept(executor);
      if (stream.has_error()) {
        if (stream.error() != boost::asio::error::operation_aborted) {
          log::error("http_listener_failed").field("error", stream.error().message());
        }
        co_return;
      }
      tasks.spawn("http connection", serve(std::move(*stream)));
    }
  }

  Task<void> serve(std::unique_ptr<Stream> stream) {
    const auto owner = std::make_shared<Session>();
    auto& session = *owner;
    session.stream = std::move(stream);
    session.timer = clock.make_timer(executor);
    const auto place = sessions.insert(sessions.end(), &session);
    if (sessions.size() > limits.connections) {
      co_await respond(session, http_error(503, "busy", "too many connections"), false, false);
    } else {
      bool more = true;
      while (more && !stopping) more = co_await one_request(owner);
    }
    session.stream->close();
    sessions.erase(place);
    idle.notify_all();
  }

  /// Waits for a request, has it handled, answers. False: the connection ends.
  Task<bool> one_request(std::shared_ptr<Session> owner) {
    auto& session = *owner;
    auto taken = co_await take_request(owner);
    session.timer->cancel();
    session.busy = true;
    bool more = false;
    if (taken.refusal) {
      co_await respond(session, std::move(*taken.refusal), false, false);
    } else if (taken.request) {
      const bool head = taken.request->method == "HEAD";
      auto response = co_await handle(std::move(*taken.request));
      const bool keep = taken.keep_alive && !stopping;
      more = co_await respond(session, std::move(response), keep, head) && keep;
    }
    session.busy = false;
    co_return more;
  }

  /// The request has so long to arrive; then 408. Not by the stream's deadline, after which the
  /// stream could not carry the answer.
  void limit_time(const std::shared_ptr<Session>& session, Duration duration) {
    session->stream->set_deadline(SteadyTime::max());
    const std::weak_ptr<Session> weak = session;
    session->timer->start(in(duration), [this, weak] {
      if (const auto slow = weak.lock()) tasks.spawn("http timeout", give_up(slow));
    });
  }

  Task<void> give_up(std::shared_ptr<Session> session) {
    co_await respond(*session, http_error(408, "timeout", "the request took too long"), false,
                     false);
    session->stream->close();
  }

  Task<Taken> take_request(std::shared_ptr<Session> owner) {
    auto& session = *owner;
    Taken taken;
    if (session.buffer.size() == 0) {
      session.stream->set_deadline(in(limits.idle));
      const auto waited = co_await read_more(session);
      if (waited) co_return taken;
    }
    limit_time(owner, limits.header_time);
    Parser parser;
    parser.eager(true);
    parser.header_limit(limits.header);
    parser.body_limit(limits.body);
    auto error = co_await parse(session, parser, header_is_done);
    if (!error) error = co_await read_body(owner, parser);
    if (!error) {
      taken.keep_alive = parser.get().keep_alive();
      taken.request = to_request(parser.release(), *session.stream);
      if (!taken.request) taken.refusal = refusal_of(http::error::bad_target);
    } else if (error.category() == ErrorCode(http::error::end_of_stream).category()) {
      taken.refusal = refusal_of(error);
    }
    co_return taken;
  }

  Task<ErrorCode> read_body(std::shared_ptr<Session> owner, Parser& parser) {
    auto& session = *owner;
    if (parser.is_done()) co_return ErrorCode();
    limit_time(owner, limits.body_time);
    // RFC 9110 §10.1.1: the client may wait for this before it sends the body.
    if (equals_ignoring_case(std::string(parser.get()[http::field::expect]), "100-continue")) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(kContinue)};
      const auto sent = co_await session.stream->write(std::move(pieces));
      if (sent.has_error()) co_return sent.error();
    }
    co_return co_await parse(session, parser, all_is_done);
  }

  Task<HttpResponse> handle(HttpRequest request) {
    const auto target = request.target;
    try {
      co_return co_await handler(std::move(request));
    } catch (const std::exception& error) {
      log::error("http_handler_failed").field("target", target).field("error", error.what());
    }
    co_return http_error(500, "internal", "an internal error, see the log");
  }

  Task<bool> respond(Session& session, HttpResponse response, bool keep_alive, bool head) {
    session.stream->set_deadline(in(limits.response_time));
    http::response<http::empty_body> header;
    header.version(11);
    header.result(static_cast<unsigned>(response.status));
    for (const auto& [name, value] : response.headers) {
      // A handler that copies input into a header must not be able to split the response.
      if (value.find_first_of("\r\n") == value.npos) header.set(name, value);
    }
    header.set(http::field::content_type, response.content_type);
    header.set("X-Content-Type-Options", "nosniff");
    header.content_length(response.body.size());
    header.keep_alive(keep_alive);
    std::string head_text =
        "HTTP/1.1 " + std::to_string(response.status) + " " + std::string(header.reason()) + "\r\n";
    for (const auto& field : header) {
      head_text += std::string(field.name_string()) + ": " + std::string(field.value()) + "\r\n";
    }
    head_text += "\r\n";
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(head_text)};
    if (!head) pieces.push_back(boost::asio::buffer(response.body));
    const auto sent = co_await session.stream->write(std::move(pieces));
    co_return sent.has_value();
  }
};

HttpServer::HttpServer(boost::asio::any_io_executor executor, Clock& clock,
                       std::unique_ptr<Listener> listener, HttpHandler handler, HttpLimits limits)
    : state_(std::make_shared<State>(std::move(executor), clock, std::move(listener),
                                     std::move(handler), limits)) {}

HttpServer::~HttpServer() { MANSIO_ASSERT(state_->tasks.size() == 0); }

void HttpServer::start() { state_->tasks.spawn("http listener", state_->accept()); }

Task<void> HttpServer::stop(SteadyTime deadline) {
  const auto state = state_;
  state->stopping = true;
  state->listener->close();
  for (auto* session : state->sessions) {
    if (!session->busy) session->stream->close();
  }
  const auto timer = state->clock.make_timer(state->executor);
  timer->start(deadline, [&idle = state->idle] { idle.notify_all(); });
  while (!state->sessions.empty() && state->clock.steady_now() < deadline) {
    co_await state->idle.wait();
  }
  for (auto* session : state->sessions) session->stream->close();
  state->tasks.cancel();
  co_await state->tasks.wait();
}

Endpoint HttpServer::local() const { return state_->listener->local(); }

}  // namespace mansio::net
