#include "admin/server.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "net/http_client.h"
#include "spool/memory/memory_spool.h"

namespace mansio::admin {
namespace {

TEST(AdminServer, ServesLoopbackAndUnixSocketsOnly) {
  for (const char* address : {"127.0.0.1", "127.8.8.8", "::1", "/run/mansio/admin.sock"}) {
    EXPECT_EQ(AdminServer::why_refused(Endpoint{address, 8025}), nullptr) << address;
  }
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "2001:db8::1",
                              "localhost.evil", "", "::ffff:192.0.2.1"}) {
    const char* refusal = AdminServer::why_refused(Endpoint{address, 8025});
    ASSERT_NE(refusal, nullptr) << address;
    EXPECT_NE(std::string(refusal).find("not available in this version"), std::string::npos);
  }
}

/// A queue without mail behind a server on real sockets; its loop has a thread of its own, because
/// the client blocks.
class Served : public ::testing::Test {
 protected:
  Served() {
    settings_ = std::make_shared<settings::Settings>();
    settings_->spool.url = "memory:";
    settings_->admin.listen = "127.0.0.1:0";
    socket_ = std::filesystem::temp_directory_path() /
              ("mansio-admin-test-" + std::to_string(make_system_random()->next()) + ".sock");
    settings_->admin.socket = socket_.string();
    std::vector<boost::asio::any_io_executor> loops = {
        boost::asio::make_strand(context_.get_executor())};
    Queue::Ports ports{*spool_, *clock_, loops, [] { return make_system_random(); }, {}};
    queue_ = std::make_unique<Queue>(std::move(ports), settings_);
    server_ =
        std::make_unique<AdminServer>(context_.get_executor(), *queue_, *clock_, ApiOptions());
  }

  ~Served() override {
    if (thread_.joinable()) {
      auto ended = boost::asio::co_spawn(context_, stop(), boost::asio::use_future);
      ended.get();
      work_.reset();
      thread_.join();
    }
    spool_->stop();
    std::error_code ignored;
    std::filesystem::remove(socket_, ignored);
  }

  void start() {
    queue_->start();
    server_->start(*settings_);
    thread_ = std::thread([this] { context_.run(); });
  }

  Task<void> stop() {
    const SteadyTime deadline = clock_->steady_now() + std::chrono::seconds(5);
    auto closing = server_->stop(deadline);
    co_await std::move(closing);
    auto ending = queue_->stop(deadline);
    co_await std::move(ending);
  }

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::unique_ptr<Clock> clock_ = make_system_clock();
  std::unique_ptr<spool::Spool> spool_ = spool::make_memory_spool(spool::MemorySpoolOptions());
  std::shared_ptr<settings::Settings> settings_;
  std::filesystem::path socket_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<AdminServer> server_;
  std::thread thread_;
};

TEST_F(Served, AnswersOverTcpAndOverTheUnixSocket) {
  start();
  const auto endpoints = server_->endpoints();
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_NE(endpoints[0].port, 0);
  for (const std::string& url :
       {"http://" + endpoints[0].to_string(), "unix:" + endpoints[1].to_string()}) {
    const net::HttpResult summary = net::http_request(url, "GET", "/v1/summary");
    EXPECT_EQ(summary.status, 200) << url << summary.error;
    EXPECT_TRUE(Json::parse(summary.body)["balanced"].get<bool>());
    EXPECT_EQ(net::http_request(url, "GET", "/v1/nothing").status, 404);
    std::map<std::string, std::string> headers;
    headers["Content-Type"] = "application/json";
    const net::HttpResult change =
        net::http_request(url, "POST", "/v1/messages/retry", R"({"everything":true})", headers);
    EXPECT_EQ(change.status, 200) << change.body;
    EXPECT_EQ(Json::parse(change.body)["matched"], 0);
  }
}

TEST_F(Served, RefusesAForeignHostOnTheWire) {
  start();
  std::map<std::string, std::string> headers;
  headers["Host"] = "evil.example";
  const std::string url = "http://" + server_->endpoints()[0].to_string();
  EXPECT_EQ(net::http_request(url, "GET", "/v1/summary", {}, headers).status, 421);
}

TEST_F(Served, OpensNothingWhereOneAddressIsRefused) {
  settings_->admin.listen = "192.0.2.1:8025";
  EXPECT_THROW(server_->start(*settings_), std::runtime_error);
  EXPECT_TRUE(server_->endpoints().empty());
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

}  // namespace
}  // namespace mansio::admin
