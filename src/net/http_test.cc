#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <stdexcept>

#include "base/loops.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/net.h"
#include "testing/memory_network.h"
#include "testing/run.h"

namespace mansio::net {
namespace {

using namespace std::chrono_literals;

/// Answers with what it was asked.
Task<HttpResponse> mirror(HttpRequest request) {
  if (request.path == "/throw") throw std::runtime_error("secret");
  HttpResponse response;
  response.body = request.method + " " + request.path + " " + request.query_or("q", "none") + " " +
                  std::string(request.header("x-name")) + " " + request.body + "\n";
  response.headers["X-Split"] = request.query_or("header", "plain");
  co_return response;
}

struct HttpServerTest : ::testing::Test {
  boost::asio::io_context context;
  fake::VirtualClock clock;
  fake::MemoryNetwork network{clock};
  const Endpoint endpoint{"127.0.0.1", 8025};
  HttpLimits limits;
  std::unique_ptr<HttpServer> server;

  void start() {
    server = std::make_unique<HttpServer>(context.get_executor(), clock,
                                          network.listen(context.get_executor(), endpoint), mirror,
                                          limits);
    server->start();
  }

  void TearDown() override {
    if (server) fake::run(context, clock, server->stop(clock.steady_now() + 1s));
  }

  std::unique_ptr<Stream> connect() {
    auto stream = fake::run(context, clock, network.connect(endpoint, "", SteadyTime::max()));
    return std::move(stream.value());
  }

  Task<void> send(Stream& stream, std::string text) {
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(text)};
    co_await stream.write(std::move(pieces));
  }

  /// Until the server closes.
  Task<std::string> read_all(Stream& stream) {
    std::string all;
    std::array<char, 1000> octets;
    for (;;) {
      const std::span<char> buffer(octets);
      const auto got = co_await stream.read_some(buffer);
      if (got.has_error()) co_return all;
      all.append(octets.data(), *got);
    }
  }

  std::string exchange(const std::string& text) {
    const auto stream = connect();
    fake::run(context, clock, send(*stream, text));
    return fake::run(context, clock, read_all(*stream));
  }

  static std::string body_of(const std::string& response) {
    return response.substr(response.find("\r\n\r\n") + 4);
  }
};

TEST_F(HttpServerTest, AnswersOctetByOctetAndKeepsTheConnection) {
  start();
  network.set_read_chunk(1);
  const auto answer = exchange(
      "GET /a%20b?q=c%2Bd+e HTTP/1.1\r\nHost: x\r\nX-Name: n\r\n\r\n"
      "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("GET /a b c+d e n \n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("POST /p none  body\n")) << answer;
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  start();
  EXPECT_EQ(body_of(exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                             "Connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")),
            "POST / none  abcde\n");
}

TEST_F(HttpServerTest, RefusesWhatIsNoRequestWithoutEchoingIt) {
  start();
  for (const char* text :
       {"<script>alert(1)</script>\r\n\r\n", "GET\r\n\r\n", "EHLO mail\r\n",
        "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nA\x01: b\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    const auto answer = exchange(text);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << text << answer;
    EXPECT_TRUE(body_of(answer).starts_with("{\"error\":{\"code\":\"bad_request\"")) << answer;
    EXPECT_EQ(answer.find("script"), std::string::npos);
  }
}

TEST_F(HttpServerTest, LimitsHeaderBodyAndTime) {
  limits.header = 1000;
  limits.body = 10;
  start();
  EXPECT_TRUE(exchange("GET / HTTP/1.1\r\nA: " + std::string(2000, 'x') + "\r\n\r\n")
                  .starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(
      exchange("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n").starts_with("HTTP/1.1 413 "));
  const auto start_time = clock.now();
  EXPECT_TRUE(exchange("GET / HTTP/1.1\r\nHost:").starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(clock.now(), start_time + 10s);
  EXPECT_TRUE(
      exchange("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab").starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(clock.now(), start_time + 70s);
  EXPECT_EQ(exchange(""), "");  // idle: closed without a word
}

TEST_F(HttpServerTest, LimitsConnections) {
  limits.connections = 1;
  start();
  const auto first = connect();
  fake::run_until_idle(context);
  EXPECT_TRUE(exchange("").starts_with("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, AHandlersExceptionIsNotShown) {
  start();
  const auto answer = exchange("GET /throw HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ")) << answer;
  EXPECT_EQ(answer.find("secret"), std::string::npos);
}

TEST_F(HttpServerTest, InputCannotSplitTheResponse) {
  start();
  const auto answer =
      exchange("GET /?header=a%0d%0aEvil:%20x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_EQ(answer.find("Evil"), std::string::npos);
}

TEST_F(HttpServerTest, HeadHasNoBodyAndContinueIsSaid) {
  start();
  EXPECT_EQ(body_of(exchange("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n")), "");
  network.set_read_chunk(1);  // so that the body is not there yet when the header is
  const auto answer = exchange(
      "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")) << answer;
}

TEST(HttpMessage, DecodesAndEscapes) {
  EXPECT_EQ(percent_decode("a%2fb%zz%4"), "a/b%zz%4");
  EXPECT_EQ(percent_decode("%41%"), "A%");
  EXPECT_EQ(http_error(404, "not_found", "no \"<x>\"\n").body,
            "{\"error\":{\"code\":\"not_found\",\"message\":\"no \\\"<x>\\\"\\n\"}}\n");
}

/// The blocking client against the server on real sockets.
struct HttpClientTest : ::testing::Test {
  Loops loops{1};
  std::unique_ptr<Clock> clock = make_system_clock();
  std::vector<std::unique_ptr<HttpServer>> servers;

  Endpoint serve(const Endpoint& endpoint) {
    servers.push_back(
        std::make_unique<HttpServer>(loops.at(0), *clock, listen(loops.at(0), endpoint), mirror));
    return servers.back()->local();
  }

  void start() {
    for (const auto& server : servers) {
      boost::asio::post(loops.at(0), [&server] { server->start(); });
    }
    loops.start();
  }

  void TearDown() override {
    for (const auto& server : servers) {
      boost::asio::co_spawn(loops.at(0), server->stop(clock->steady_now()), boost::asio::use_future)
          .get();
    }
  }
};

TEST_F(HttpClientTest, SpeaksOverTcpAndUnixSockets) {
  const auto tcp = serve(Endpoint{"127.0.0.1", 0});
  const auto path = "/tmp/mansio-http-test-" + std::to_string(::getpid()) + ".sock";
  serve(Endpoint{path, 0});
  start();
  for (const auto& url : {"http://" + tcp.to_string(), "unix:" + path}) {
    const auto result =
        http_request(url, "POST", "/v1/x?q=1", std::string(3u << 20, 'y'), {{"X-Name", "z"}});
    EXPECT_EQ(result.status, 200) << result.error;
    EXPECT_EQ(result.body.size(), (3u << 20) + std::string("POST /v1/x 1 z \n").size());
    EXPECT_EQ(result.headers.at("content-type"), "application/json");
  }
}

TEST_F(HttpClientTest, FailuresAreSentences) {
  serve(Endpoint{"127.0.0.1", 0});
  start();
  EXPECT_EQ(http_request("unix:/nowhere/x.sock", "GET", "/").error,
            "connect to unix:/nowhere/x.sock: No such file or directory");
  EXPECT_NE(http_request("ftp://x", "GET", "/").error, "");
  // A listener that never answers.
  boost::asio::io_context context;
  const auto silent = listen(context.get_executor(), Endpoint{"127.0.0.1", 0});
  const auto result =
      http_request("http://" + silent->local().to_string(), "GET", "/", "", {}, 20ms);
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.error, "");
}

TEST(HttpUrl, HasTwoForms) {
  EXPECT_TRUE(valid_http_url("http://127.0.0.1:8025"));
  EXPECT_TRUE(valid_http_url("http://[::1]:8025/"));
  EXPECT_TRUE(valid_http_url("http://localhost"));
  EXPECT_TRUE(valid_http_url("unix:/run/mansio.sock"));
  EXPECT_FALSE(valid_http_url("unix:relative"));
  EXPECT_FALSE(valid_http_url("https://x"));
  EXPECT_FALSE(valid_http_url(""));
}

}  // namespace
}  // namespace mansio::net
