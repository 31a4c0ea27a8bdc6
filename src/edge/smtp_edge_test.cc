#include "edge/smtp_edge.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <stdexcept>

#include "edge/fake_admission.h"
#include "testing/memory_network.h"
#include "testing/run.h"

namespace mansio::edge {
namespace {

using std::chrono::seconds;

/// A client whose every word is answered before the test goes on.
class Client {
 public:
  Client(boost::asio::io_context& context, fake::MemoryNetwork& network, const Endpoint& server,
         std::string source = {})
      : context_(context) {
    auto talking = run(network, server, std::move(source));
    boost::asio::co_spawn(context, std::move(talking), boost::asio::detached);
    fake::run_until_idle(context);
  }

  ~Client() {
    if (stream_) hang_up();  // ends the reading coroutine, which refers to this
  }

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string said() {
    fake::run_until_idle(context_);
    return std::exchange(heard_, {});
  }

  std::string send(std::string text) {
    boost::asio::co_spawn(context_, write(std::move(text)), boost::asio::detached);
    return said();
  }

  void hang_up() {
    stream_->close();
    fake::run_until_idle(context_);
  }

  bool closed() const { return closed_; }

 private:
  Task<void> run(fake::MemoryNetwork& network, Endpoint server, std::string source) {
    auto connecting = network.connect(server, std::move(source), SteadyTime::max());
    auto connected = co_await std::move(connecting);
    if (!connected) co_return;
    stream_ = std::move(*connected);
    std::vector<char> buffer(4096);
    while (true) {
      const std::span<char> room(buffer);
      const auto read = co_await stream_->read_some(room);
      if (!read) break;
      heard_.append(buffer.data(), *read);
    }
    closed_ = true;
  }

  Task<void> write(std::string text) {
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(text)};
    const auto written = co_await stream_->write(std::move(pieces));
    static_cast<void>(written);
  }

  boost::asio::io_context& context_;
  std::unique_ptr<Stream> stream_;
  std::string heard_;
  bool closed_ = false;
};

class SmtpEdgeTest : public ::testing::Test {
 protected:
  SmtpEdgeTest() {
    settings_.server.hostname = "mx.example";
    add_listener("smtp", 25);
  }

  ~SmtpEdgeTest() override {
    if (edge_) stop(seconds(0));
    fake::run_until_idle(context_);
  }

  void add_listener(std::string protocol, std::uint16_t port) {
    settings::Listener listener;
    listener.protocol = std::move(protocol);
    listener.address = {"192.0.2.25", port};
    listener.relay_from = {"0.0.0.0/0"};
    settings_.listeners.push_back(listener);
  }

  void start() {
    SmtpEdge::Ports ports = SmtpEdge::ports(admission_, clock_, {context_.get_executor()}, 0);
    ports.listen = [this](boost::asio::any_io_executor executor, const Endpoint& endpoint,
                          unsigned) {
      ++listens_;
      return network_.listen(std::move(executor), endpoint);
    };
    edge_ = std::make_unique<SmtpEdge>(std::move(ports),
                                       std::make_shared<const settings::Settings>(settings_));
    edge_->start();
    fake::run_until_idle(context_);
  }

  void stop(Duration time) {
    auto stopping = edge_->stop(clock_.steady_now() + time);
    fake::run(context_, clock_, std::move(stopping));
  }

  std::unique_ptr<Client> client(std::uint16_t port = 25) {
    return std::make_unique<Client>(context_, network_, Endpoint{"192.0.2.25", port});
  }

  fake::VirtualClock clock_;
  boost::asio::io_context context_;
  fake::MemoryNetwork network_{clock_};
  test::FakeAdmission admission_;
  settings::Settings settings_;
  int listens_ = 0;
  std::unique_ptr<SmtpEdge> edge_;
};

constexpr const char* greeting = "220 mx.example ESMTP Mansio\r\n";
const std::string transaction = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";

TEST_F(SmtpEdgeTest, TakesAMessageOverSmtpAndLmtp) {
  add_listener("lmtp", 24);
  start();
  auto smtp = client();
  EXPECT_EQ(smtp->said(), greeting);
  smtp->send("EHLO client.example\r\n");
  smtp->send(transaction);
  EXPECT_EQ(smtp->send("Subject: x\r\n\r\ny\r\n.\r\n").substr(0, 26), "250 2.0.0 Ok: queued as 00");
  auto lmtp = client(24);
  EXPECT_EQ(lmtp->said(), "220 mx.example LMTP Mansio\r\n");
  lmtp->send("LHLO client.example\r\n");
  lmtp->send(transaction);
  EXPECT_EQ(lmtp->send("x\r\n.\r\n").substr(0, 9), "250 2.0.0");
  EXPECT_EQ(admission_.submissions.size(), 2u);
  EXPECT_EQ(edge_->statistics().messages_accepted, 2u);
  EXPECT_EQ(edge_->statistics().connections_open, 2u);
  smtp->send("QUIT\r\n");
  EXPECT_EQ(edge_->statistics().connections_open, 1u);
}

TEST_F(SmtpEdgeTest, RelaysOnlyForListedNetworks) {
  settings_.listeners[0].relay_from = {"127.0.0.0/8"};
  start();
  auto stranger = client();
  stranger->send("EHLO client.example\r\n");
  EXPECT_EQ(stranger->send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"),
            "250 2.1.0 Ok\r\n550 5.7.1 Relaying denied\r\n");
  EXPECT_EQ(edge_->statistics().relaying_denied, 1u);
  Profile profile;
  EXPECT_FALSE(may_relay(profile, {"127.0.0.1", 1}, {"127.0.0.1", 25}));
  EXPECT_TRUE(may_relay(profile, {"", 0}, {"/run/mansio/lmtp.sock", 0}));
}

TEST_F(SmtpEdgeTest, RefusesConnectionsBeyondTheLimitWithinASecond) {
  settings_.limits.connections = 2;
  start();
  auto first = client();
  auto second = client();
  auto third = client();
  EXPECT_EQ(third->said(), "421 4.3.2 Too many connections, try again later\r\n");
  EXPECT_TRUE(third->closed());
  EXPECT_EQ(edge_->statistics().connections_refused, 1u);
  first->hang_up();
  EXPECT_EQ(client()->said(), greeting);
}

TEST_F(SmtpEdgeTest, LimitsConnectionsPerClientButNotOfRelayClients) {
  settings_.limits.connections_per_client = 1;
  start();
  auto first = client();
  auto second = client();
  EXPECT_EQ(second->said(), greeting);
  auto strict = settings_;
  strict.limits.connections_per_client_set = true;
  edge_->reload(std::make_shared<const settings::Settings>(strict));
  EXPECT_EQ(client()->said().substr(0, 9), "421 4.3.2");
}

TEST_F(SmtpEdgeTest, IdlesForLessWhenNearlyFull) {
  settings_.limits.connections = 5;
  start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(client());
  clients[3]->send("EHLO client.example\r\n");
  clock_.advance(context_, seconds(31));
  EXPECT_EQ(clients[3]->said(), "421 4.4.2 Idle for too long\r\n");
}

TEST_F(SmtpEdgeTest, SaysWhyNothingCanBeTaken) {
  start();
  auto talk = client();
  talk->send("EHLO client.example\r\n");
  admission_.ready = Readiness::full;
  EXPECT_EQ(talk->send("MAIL FROM:<a@x.example>\r\n").substr(0, 9), "452 4.3.1");
  admission_.ready = Readiness::latched;
  EXPECT_EQ(talk->send("MAIL FROM:<a@x.example>\r\n").substr(0, 9), "421 4.3.0");
  EXPECT_TRUE(talk->closed());
  EXPECT_EQ(client()->said().substr(0, 9), "421 4.3.0");
}

TEST_F(SmtpEdgeTest, slimta_41_a_queue_that_fails_at_acceptance_gives_451_and_nothing_is_queued) {
  start();
  auto talk = client();
  talk->send("EHLO client.example\r\n");
  talk->send(transaction);
  admission_.status = spool::Status::refused;
  EXPECT_EQ(talk->send("Subject: x\r\n\r\ny\r\n.\r\n"),
            "451 4.3.0 Local storage error, try again later\r\n");
  EXPECT_EQ(edge_->statistics().messages_accepted, 0u);
  // The client tries again, and the queue takes it.
  admission_.status = spool::Status::committed;
  talk->send(transaction);
  EXPECT_EQ(talk->send("Subject: x\r\n\r\ny\r\n.\r\n").substr(0, 9), "250 2.0.0");
  EXPECT_EQ(edge_->statistics().messages_accepted, 1u);
}

TEST_F(SmtpEdgeTest, LeavesListenersOfOtherProtocolsAlone) {
  add_listener("http", 80);
  start();
  ASSERT_EQ(edge_->endpoints().size(), 1u);
  EXPECT_EQ(edge_->endpoints()[0].port, 25);
  EXPECT_EQ(client(80)->said(), "");  // nobody listens
}

TEST_F(SmtpEdgeTest, CountsTheAddressesOfAnIpv6NetworkAsOneClient) {
  settings_.limits.connections_per_client = 2;
  settings_.listeners[0].relay_from = {};
  start();
  const auto from = [this](const std::string& source) {
    return std::make_unique<Client>(context_, network_, Endpoint{"192.0.2.25", 25}, source);
  };
  auto first = from("2001:db8:0:1::1");
  auto second = from("2001:db8:0:1:ffff:ffff:ffff:ffff");
  EXPECT_EQ(second->said(), greeting);
  EXPECT_EQ(from("2001:DB8:0:1:2::")->said().substr(0, 9), "421 4.3.2");
  auto other = from("2001:db8:0:2::1");
  EXPECT_EQ(other->said(), greeting);
  first->hang_up();
  EXPECT_EQ(from("2001:db8:0:1::3")->said(), greeting);
  // Addresses of IPv4 count one by one, in whichever form.
  auto one = from("192.0.2.1");
  auto two = from("::ffff:192.0.2.1");
  EXPECT_EQ(from("192.0.2.1")->said().substr(0, 9), "421 4.3.2");
  EXPECT_EQ(from("192.0.2.2")->said(), greeting);
}

TEST_F(SmtpEdgeTest, StopsInOrder) {
  start();
  auto idle = client();
  auto busy = client();
  idle->said();
  busy->send("EHLO client.example\r\n");
  busy->send(transaction);
  bool stopped = false;
  auto stopping = [&]() -> Task<void> { co_await edge_->stop(clock_.steady_now() + seconds(30)); };
  boost::asio::co_spawn(context_, stopping(), [&](std::exception_ptr) { stopped = true; });
  EXPECT_EQ(idle->said(), "421 4.3.2 Service is shutting down\r\n");
  EXPECT_FALSE(stopped);
  const std::string replies = busy->send("x\r\n.\r\n");
  EXPECT_EQ(replies.substr(0, 9), "250 2.0.0");
  EXPECT_NE(replies.find("421 4.3.2 Service is shutting down\r\n"), std::string::npos);
  EXPECT_TRUE(stopped);
  EXPECT_EQ(client()->said(), "");  // nobody listens
}

TEST_F(SmtpEdgeTest, CutsWhatIsLeftAtTheDeadline) {
  start();
  auto busy = client();
  busy->send("EHLO client.example\r\n");
  busy->send(transaction);
  stop(seconds(5));
  EXPECT_TRUE(busy->said().empty() || busy->closed());
  EXPECT_TRUE(admission_.submissions.empty());
  EXPECT_EQ(edge_->statistics().connections_open, 0u);
}

TEST_F(SmtpEdgeTest, ReloadOpensAndClosesListeners) {
  start();
  auto changed = settings_;
  changed.listeners[0].address.port = 26;
  changed.server.hostname = "new.example";
  edge_->reload(std::make_shared<const settings::Settings>(changed));
  fake::run_until_idle(context_);
  EXPECT_EQ(client(25)->said(), "");
  EXPECT_EQ(client(26)->said(), "220 new.example ESMTP Mansio\r\n");
  ASSERT_EQ(edge_->endpoints().size(), 1u);
  EXPECT_EQ(edge_->endpoints()[0].port, 26);
}

TEST_F(SmtpEdgeTest, ReloadChangesThePermissionsOfASocketThatIsInUse) {
  std::string path = "/tmp/mansio-edge-socket-XXXXXX";
  ::close(::mkstemp(path.data()));
  settings_.listeners[0].address = {path, 0};
  start();
  auto changed = settings_;
  changed.listeners[0].mode = "0660";
  edge_->reload(std::make_shared<const settings::Settings>(changed));
  fake::run_until_idle(context_);

  struct stat status {};

  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  ::unlink(path.c_str());
  EXPECT_EQ(status.st_mode & 0777u, 0660u);
  EXPECT_EQ(listens_, 1) << "a second socket at the same path cannot be";
}

}  // namespace
}  // namespace mansio::edge
