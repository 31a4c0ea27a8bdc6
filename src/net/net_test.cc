#include "net/net.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <filesystem>

#include "net/test_certificate.h"

namespace mansio::net {
namespace {

using namespace std::chrono_literals;
using namespace boost::asio::experimental::awaitable_operators;
using boost::asio::awaitable;

struct NetTest : ::testing::Test {
  boost::asio::io_context context;
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<Connector> connector = make_connector(*clock);

  SteadyTime in(Duration duration) const { return clock->steady_now() + duration; }

  /// Runs to the end of `task`, on real time.
  template <class T>
  T run(awaitable<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    boost::asio::co_spawn(context, fake_void(std::move(task), result),
                          [&](std::exception_ptr error) {
                            failure = error;
                            context.stop();
                          });
    context.restart();
    context.run();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  template <class T>
  static awaitable<void> fake_void(awaitable<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }

  struct Pair {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
  };

  awaitable<Pair> connect(Listener& listener, Endpoint peer, std::string source = "") {
    auto both = co_await (connector->connect(peer, source, in(10s)) &&
                          listener.accept(context.get_executor()));
    Pair pair;
    pair.client = std::move(std::get<0>(both).value());
    pair.server = std::move(std::get<1>(both).value());
    pair.client->set_deadline(in(10s));
    pair.server->set_deadline(in(10s));
    co_return pair;
  }

  Pair pair_on(const Endpoint& endpoint, std::string source = "") {
    const auto listener = listen(context.get_executor(), endpoint);
    return run(connect(*listener, listener->local(), source));
  }

  static awaitable<Result<void>> write(Stream& stream, std::string text) {
    std::vector<boost::asio::const_buffer> pieces;
    // Many small pieces, to go through the gathering.
    for (std::size_t i = 0; i < text.size(); i += 1000) {
      pieces.push_back(
          boost::asio::buffer(text.data() + i, std::min<std::size_t>(1000, text.size() - i)));
      pieces.emplace_back();
    }
    co_return co_await stream.write(std::move(pieces));
  }

  /// Exactly `size` octets, or less and the error.
  static awaitable<std::pair<std::string, ErrorCode>> read(Stream& stream, std::size_t size) {
    std::string all(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      const std::span<char> buffer(all.data() + have, size - have);
      const auto got = co_await stream.read_some(buffer);
      if (got.has_error()) co_return std::pair(all.substr(0, have), got.error());
      have += *got;
    }
    co_return std::pair(all, ErrorCode());
  }

  static awaitable<std::string> echo(Stream& one, Stream& other, std::string text) {
    const auto size = text.size();
    auto there = co_await (write(one, text) && read(other, size));
    auto back = co_await (write(other, std::get<1>(there).first) && read(one, size));
    co_return std::get<1>(back).first;
  }
};

const Endpoint kLoopback{"127.0.0.1", 0};

TEST_F(NetTest, CarriesMoreThanTheBuffersHoldBothWays) {
  const auto pair = pair_on(kLoopback);
  std::string text;
  for (int i = 0; i < 700000; ++i) text += std::to_string(i);
  EXPECT_EQ(run(echo(*pair.client, *pair.server, text)), text);
  EXPECT_EQ(pair.client->peer(), pair.server->local());
  EXPECT_EQ(pair.client->local(), pair.server->peer());
}

TEST_F(NetTest, ReadsTheEndAndSeesItBefore) {
  const auto pair = pair_on(kLoopback);
  EXPECT_FALSE(pair.client->has_input());
  EXPECT_TRUE(run(write(*pair.server, "bye")));
  pair.server->close();
  EXPECT_EQ(run(read(*pair.client, 3)).first, "bye");
  EXPECT_TRUE(pair.client->has_input());
  EXPECT_EQ(run(read(*pair.client, 1)).second, boost::asio::error::eof);
}

TEST_F(NetTest, AReadEndsAtItsDeadline) {
  const auto pair = pair_on(kLoopback);
  pair.client->set_deadline(in(10s));  // the timer is set for this one first
  pair.client->set_deadline(in(20ms));
  const auto start = clock->steady_now();
  EXPECT_EQ(run(read(*pair.client, 1)).second, boost::asio::error::timed_out);
  EXPECT_GE(clock->steady_now() - start, 20ms);
  EXPECT_LT(clock->steady_now() - start, 5s);
}

TEST_F(NetTest, ADeadlineCanMoveLaterWhileAReadWaits) {
  const auto pair = pair_on(kLoopback);
  pair.client->set_deadline(in(20ms));
  auto timer = clock->make_timer(context.get_executor());
  timer->start(in(10ms), [&] { pair.client->set_deadline(in(60ms)); });
  const auto start = clock->steady_now();
  EXPECT_EQ(run(read(*pair.client, 1)).second, boost::asio::error::timed_out);
  EXPECT_GE(clock->steady_now() - start, 60ms);
}

TEST_F(NetTest, AWriteEndsAtItsDeadline) {
  const auto pair = pair_on(kLoopback);
  pair.client->set_deadline(in(20ms));
  const std::string much(64u << 20, 'x');
  EXPECT_EQ(run(write(*pair.client, much)).error(), boost::asio::error::timed_out);
}

TEST_F(NetTest, ClosingEndsAPendingRead) {
  auto pair = pair_on(kLoopback);
  auto timer = clock->make_timer(context.get_executor());
  timer->start(in(1ms), [&] { pair.client.reset(); });  // destroys the stream under the read
  EXPECT_EQ(run(read(*pair.client, 1)).second, boost::asio::error::operation_aborted);
}

TEST_F(NetTest, AnEndpointIsTakenOnce) {
  const auto listener = listen(context.get_executor(), kLoopback);
  EXPECT_NE(listener->local().port, 0);
  try {
    listen(context.get_executor(), listener->local());
    FAIL() << "listened twice";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::address_in_use);
  }
}

TEST_F(NetTest, RefusedAndUnresolvableAreErrors) {
  Endpoint gone;
  {
    const auto listener = listen(context.get_executor(), kLoopback);
    gone = listener->local();
  }
  EXPECT_EQ(run(connector->connect(gone, "", in(10s))).error(),
            boost::asio::error::connection_refused);
  EXPECT_TRUE(run(connector->connect(Endpoint{"no such host", 25}, "", in(10s))).has_error());
  EXPECT_TRUE(run(connector->connect(gone, "not an address", in(10s))).has_error());
}

TEST_F(NetTest, BindsToTheSourceAddress) {
  const auto pair = pair_on(kLoopback, "127.0.0.2");
  EXPECT_EQ(pair.server->peer().address, "127.0.0.2");
}

TEST_F(NetTest, ResolvesNames) {
  const auto listener = listen(context.get_executor(), kLoopback);
  const auto pair = run(connect(*listener, Endpoint{"localhost", listener->local().port}));
  EXPECT_EQ(run(echo(*pair.client, *pair.server, "hello")), "hello");
}

TEST_F(NetTest, ClosingAListenerEndsAccept) {
  const auto listener = listen(context.get_executor(), kLoopback);
  auto timer = clock->make_timer(context.get_executor());
  timer->start(in(1ms), [&] { listener->close(); });
  EXPECT_EQ(run(listener->accept(context.get_executor())).error(),
            boost::asio::error::operation_aborted);
}

TEST_F(NetTest, UnixSocketsArePrivateAndReplaceStaleOnes) {
  const auto path = "/tmp/mansio-net-test-" + std::to_string(::getpid()) + ".sock";
  const Endpoint endpoint{path, 0};
  {
    const auto listener = listen(context.get_executor(), endpoint);

    struct stat status {};

    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    const auto pair = run(connect(*listener, endpoint));
    EXPECT_EQ(run(echo(*pair.client, *pair.server, "hello")), "hello");
    EXPECT_TRUE(pair.server->peer().is_unix());
    EXPECT_THROW(listen(context.get_executor(), endpoint), std::system_error);
    // What a killed process leaves behind: the file without its socket.
    std::filesystem::rename(path, path + ".kept");
    std::filesystem::create_hard_link(path + ".kept", path);
    std::filesystem::remove(path);
    std::filesystem::rename(path + ".kept", path + ".stale");
  }
  std::filesystem::rename(path + ".stale", path);
  const auto again = listen(context.get_executor(), endpoint);
  EXPECT_TRUE(std::filesystem::exists(path));
  again->close();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(NetTest, AUnixSocketCanBeOpenToEverybodyAndKnowsItsPeers) {
  const auto path = "/tmp/mansio-net-open-" + std::to_string(::getpid()) + ".sock";
  const Endpoint endpoint{path, 0};
  const auto umask = ::umask(077);
  const auto listener = listen(context.get_executor(), endpoint, 0666);
  ::umask(umask);

  struct stat status {};

  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0666u);
  const auto pair = run(connect(*listener, endpoint));
  const auto credentials = pair.server->peer_credentials();
  ASSERT_TRUE(credentials);
  EXPECT_EQ(credentials->user, ::getuid());
  EXPECT_EQ(credentials->process, ::getpid());
  const auto tcp = listen(context.get_executor(), kLoopback);
  EXPECT_FALSE(run(connect(*tcp, tcp->local())).server->peer_credentials());
}

TEST_F(NetTest, APassedSocketServesItsAddressAndCanBeTakenAgain) {
  const int descriptor = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  ASSERT_EQ(::bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(descriptor, 8), 0);
  socklen_t size = sizeof(address);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  const Endpoint local{"::1", ntohs(address.sin6_port)};

  std::vector<PassedSocket> sockets(1);
  sockets[0].descriptor = descriptor;
  sockets[0].name = "smtp";
  sockets[0].local = local;
  PassedSockets passed(sockets);
  EXPECT_EQ(passed.take(context.get_executor(), {"::1", 1}), nullptr);
  EXPECT_EQ(passed.unclaimed(), std::vector<std::string>{"smtp (" + local.to_string() + ")"});
  for (int round = 0; round < 2; ++round) {
    // However it is written.
    const auto listener = passed.take(context.get_executor(), {"0:0:0::1", local.port});
    ASSERT_TRUE(listener);
    const auto pair = run(connect(*listener, local));
    EXPECT_EQ(run(echo(*pair.client, *pair.server, "hello")), "hello");
    listener->close();
  }
  EXPECT_TRUE(passed.unclaimed().empty());
  ::close(descriptor);
}

TEST_F(NetTest, TakesAListeningDescriptorOver) {
  const auto original = listen(context.get_executor(), kLoopback);
  int found = -1;
  for (int descriptor = 3; descriptor < 64 && found < 0; ++descriptor) {
    int listening = 0;
    socklen_t size = sizeof(listening);
    if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening) {
      found = ::dup(descriptor);
    }
  }
  ASSERT_GE(found, 0);
  const auto adopted = adopt_listener(context.get_executor(), found);
  EXPECT_EQ(adopted->local(), original->local());
  const auto pair = run(connect(*adopted, adopted->local()));
  EXPECT_EQ(run(echo(*pair.client, *pair.server, "hello")), "hello");
}

struct TlsTest : NetTest {
  TestCertificate certificate{"mx.example"};

  std::shared_ptr<TlsContext> server_context() {
    TlsOptions options;
    options.certificate = certificate.certificate();
    options.key = certificate.key();
    return make_tls_context(options);
  }

  std::shared_ptr<TlsContext> client_context(bool verify, bool trusted = true) {
    TlsOptions options;
    options.verify = verify;
    if (trusted) options.ca_file = certificate.certificate();
    return make_tls_context(options);
  }

  using Both = std::tuple<Result<TlsInfo>, Result<TlsInfo>>;

  awaitable<Both> shake(Pair& pair, TlsContext& client, TlsContext& server, std::string name) {
    co_return co_await (pair.client->start_tls(client, false, name) &&
                        pair.server->start_tls(server, true, ""));
  }

  Both handshake(Pair& pair, TlsContext& client, const std::string& name) {
    const auto server = server_context();
    return run(shake(pair, client, *server, name));
  }
};

TEST_F(TlsTest, UpgradesAndCarriesOctets) {
  auto pair = pair_on(kLoopback);
  EXPECT_EQ(run(echo(*pair.client, *pair.server, "STARTTLS")), "STARTTLS");
  const auto client = client_context(true);
  const auto [ours, theirs] = handshake(pair, *client, "mx.example");
  ASSERT_TRUE(ours) << ours.error().message();
  ASSERT_TRUE(theirs) << theirs.error().message();
  EXPECT_EQ(ours->version, "TLSv1.3");
  EXPECT_TRUE(ours->verified);
  EXPECT_EQ(ours->peer_subject, "/CN=mx.example");
  EXPECT_FALSE(pair.client->has_input());  // session tickets are not input
  const std::string text(3u << 20, 'x');
  EXPECT_EQ(run(echo(*pair.client, *pair.server, text)), text);
  EXPECT_TRUE(run(write(*pair.server, "x")));
  EXPECT_EQ(run(read(*pair.client, 1)).first, "x");
  pair.server->close();
  EXPECT_EQ(run(read(*pair.client, 1)).second, boost::asio::error::eof);
  EXPECT_TRUE(pair.client->has_input());
}

TEST_F(TlsTest, VerifiesNamesAndAddresses) {
  const auto strict = client_context(true);
  auto one = pair_on(kLoopback);
  EXPECT_EQ(std::get<0>(handshake(one, *strict, "other.example")).error().category(),
            boost::asio::error::get_ssl_category());
  auto two = pair_on(kLoopback);
  EXPECT_TRUE(std::get<0>(handshake(two, *strict, "127.0.0.1"))->verified);
}

TEST_F(TlsTest, WithoutVerificationItSaysWhatItWouldHaveBeen) {
  const auto loose = client_context(false);
  auto one = pair_on(kLoopback);
  EXPECT_FALSE(std::get<0>(handshake(one, *loose, "other.example"))->verified);
  auto two = pair_on(kLoopback);
  EXPECT_TRUE(std::get<0>(handshake(two, *loose, "mx.example"))->verified);
  const auto untrusting = client_context(false, false);
  auto three = pair_on(kLoopback);
  EXPECT_FALSE(std::get<0>(handshake(three, *untrusting, "mx.example"))->verified);
}

// CVE-2011-0411: octets in plain text ahead of the handshake are never taken for TLS content.
TEST_F(TlsTest, PlainTextAheadOfTheHandshakeBreaksIt) {
  auto pair = pair_on(kLoopback);
  EXPECT_TRUE(run(write(*pair.client, "RSET\r\n")));
  pair.client->set_deadline(in(100ms));  // the server says nothing to what is no handshake
  const auto client = client_context(false);
  const auto [ours, theirs] = handshake(pair, *client, "mx.example");
  EXPECT_FALSE(theirs);
  EXPECT_FALSE(ours);
}

TEST_F(TlsTest, AHandshakeEndsAtItsDeadline) {
  const auto pair = pair_on(kLoopback);
  pair.client->set_deadline(in(20ms));
  const auto client = client_context(false);
  EXPECT_EQ(run(pair.client->start_tls(*client, false, "mx")).error(),
            boost::asio::error::timed_out);
}

TEST_F(TlsTest, ErrorsNameTheFile) {
  TlsOptions options;
  options.certificate = "/nowhere/certificate.pem";
  try {
    make_tls_context(options);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/certificate.pem"), std::string::npos);
  }
  options.certificate = certificate.certificate();
  options.key = certificate.certificate();
  EXPECT_THROW(make_tls_context(options), std::runtime_error);
}

TEST(Network, TellsClientsApart) {
  EXPECT_EQ(client_network("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client_network("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(client_network("2001:DB8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
  EXPECT_EQ(client_network("2001:db8:0:1::"), "2001:db8:0:1::/64");
  EXPECT_EQ(client_network("::1"), "::/64");
  EXPECT_EQ(client_network(""), "");
}

TEST(Network, ContainsAddresses) {
  EXPECT_TRUE(in_network("127.0.0.1", "127.0.0.0/8"));
  EXPECT_FALSE(in_network("128.0.0.1", "127.0.0.0/8"));
  EXPECT_TRUE(in_network("192.0.2.129", "192.0.2.128/25"));
  EXPECT_FALSE(in_network("192.0.2.127", "192.0.2.128/25"));
  EXPECT_TRUE(in_network("::1", "::1"));
  EXPECT_TRUE(in_network("2001:db8:1::1", "2001:db8::/32"));
  EXPECT_FALSE(in_network("2001:db9::1", "2001:db8::/32"));
  EXPECT_TRUE(in_network("::ffff:192.0.2.1", "192.0.2.0/24"));
  EXPECT_TRUE(in_network("8.8.8.8", "0.0.0.0/0"));
  EXPECT_FALSE(in_network("::1", "0.0.0.0/0"));
}

TEST(Network, RefusesWhatIsNone) {
  for (const char* text : {"", "/8", "127.0.0.0/33", "::/129", "host", "127.0.0.1/", "1.2.3/8"}) {
    EXPECT_FALSE(valid_network(text)) << text;
    EXPECT_FALSE(in_network("127.0.0.1", text)) << text;
  }
  EXPECT_TRUE(valid_network("10.0.0.0/8"));
}

TEST(Process, RaisesTheDescriptorLimitToTheHardOne) {
  const auto limit = raise_descriptor_limit();
  EXPECT_GT(limit, 0u);
  EXPECT_EQ(raise_descriptor_limit(), limit);
  notify_service_manager("READY=1");  // nobody listens: nothing happens
}

}  // namespace
}  // namespace mansio::net
