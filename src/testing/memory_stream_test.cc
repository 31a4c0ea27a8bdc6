#include "testing/memory_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>

#include "testing/memory_network.h"
#include "testing/run.h"

namespace mansio::fake {
namespace {

using namespace std::chrono_literals;

struct MemoryStreamTest : ::testing::Test {
  boost::asio::io_context context;
  VirtualClock clock;

  MemoryStreamPair make(std::size_t read_chunk = 0, std::size_t capacity = 1u << 20) {
    MemoryStreamOptions options;
    options.clock = &clock;
    options.read_chunk = read_chunk;
    options.capacity = capacity;
    return make_stream_pair(context.get_executor(), options);
  }

  Task<Result<void>> write(Stream& stream, std::string text) {
    std::vector<boost::asio::const_buffer> pieces{boost::asio::buffer(text)};
    co_return co_await stream.write(std::move(pieces));
  }

  /// Everything up to an error.
  Task<std::pair<std::string, ErrorCode>> read_all(Stream& stream) {
    std::string all;
    std::array<char, 64> octets;
    for (;;) {
      const std::span<char> buffer(octets);
      const auto read = co_await stream.read_some(buffer);
      if (read.has_error()) co_return std::pair(all, read.error());
      all.append(octets.data(), *read);
    }
  }
};

TEST_F(MemoryStreamTest, CarriesOctetsThenTheEnd) {
  auto pair = make(3);
  EXPECT_TRUE(run(context, clock, write(*pair.first, "hello world")));
  EXPECT_TRUE(pair.second->has_input());
  pair.first->close();
  const auto [text, error] = run(context, clock, read_all(*pair.second));
  EXPECT_EQ(text, "hello world");
  EXPECT_EQ(error, boost::asio::error::eof);
  EXPECT_EQ(pair.second->operations(), 5u);  // four pieces of at most 3 octets, and the end
}

TEST_F(MemoryStreamTest, AWriterWaitsForRoom) {
  auto pair = make(0, 4);
  bool written = false;
  co_spawn(context, write(*pair.first, "0123456789"),
           [&](std::exception_ptr, Result<void>) { written = true; });
  run_until_idle(context);
  EXPECT_FALSE(written);
  pair.second->set_deadline(clock.steady_now() + 1s);
  const auto [text, error] = run(context, clock, read_all(*pair.second));
  EXPECT_TRUE(written);
  EXPECT_EQ(text, "0123456789");
  EXPECT_EQ(error, boost::asio::error::timed_out);
  EXPECT_EQ(clock.steady_now(), SteadyTime(1h + 1s));
}

TEST_F(MemoryStreamTest, CloseEndsAPendingRead) {
  auto pair = make();
  std::optional<ErrorCode> ended;
  co_spawn(context, read_all(*pair.first),
           [&](std::exception_ptr, auto result) { ended = result.second; });
  run_until_idle(context);
  pair.first.reset();  // also destroys it
  run_until_idle(context);
  EXPECT_EQ(ended, ErrorCode(boost::asio::error::operation_aborted));
}

TEST_F(MemoryStreamTest, ResetLosesWhatIsInFlight) {
  auto pair = make();
  EXPECT_TRUE(run(context, clock, write(*pair.first, "lost")));
  pair.first->reset();
  const auto [text, error] = run(context, clock, read_all(*pair.second));
  EXPECT_EQ(text, "");
  EXPECT_EQ(error, boost::system::errc::connection_reset);
}

TEST_F(MemoryStreamTest, FailsTheNthOperation) {
  auto pair = make();
  pair.first->fail_after(1);
  EXPECT_TRUE(run(context, clock, write(*pair.first, "a")));
  EXPECT_FALSE(run(context, clock, write(*pair.first, "b")));
  const auto [text, error] = run(context, clock, read_all(*pair.second));
  EXPECT_EQ(error, boost::system::errc::connection_reset);
}

TEST_F(MemoryStreamTest, HandshakesMeetAndCarryOn) {
  auto pair = make();
  MemoryTlsContext tls;
  std::optional<Result<TlsInfo>> served;
  co_spawn(context, pair.second->start_tls(tls, true, ""),
           [&](std::exception_ptr, Result<TlsInfo> result) { served = std::move(result); });
  run_until_idle(context);
  EXPECT_FALSE(served);
  const auto client = run(context, clock, pair.first->start_tls(tls, false, "mx.example"));
  run_until_idle(context);
  EXPECT_EQ(client->version, "TLSv1.3");
  EXPECT_TRUE(served && served->has_value());
  EXPECT_EQ(pair.first->tls()->server_name, "mx.example");
  EXPECT_TRUE(run(context, clock, write(*pair.first, "EHLO x")));
}

// CVE-2011-0411: octets pipelined in plain text before the handshake must not survive it.
TEST_F(MemoryStreamTest, PlainTextBeforeAHandshakeBreaksIt) {
  auto pair = make();
  MemoryTlsContext tls;
  EXPECT_TRUE(run(context, clock, write(*pair.first, "injected")));
  co_spawn(context, pair.first->start_tls(tls, false, ""), boost::asio::detached);
  const auto served = run(context, clock, pair.second->start_tls(tls, true, ""));
  EXPECT_EQ(served.error(), boost::system::errc::protocol_error);
}

struct MemoryNetworkTest : MemoryStreamTest {
  MemoryNetwork network{clock};
  const Endpoint mx{"192.0.2.25", 25};

  Result<std::unique_ptr<Stream>> connect() {
    return run(context, clock, network.connect(mx, "", clock.steady_now() + 30s));
  }
};

TEST_F(MemoryNetworkTest, RefusesWhereNobodyListens) {
  EXPECT_EQ(connect().error(), boost::asio::error::connection_refused);
  auto listener = network.listen(context.get_executor(), mx);
  EXPECT_THROW(network.listen(context.get_executor(), mx), std::system_error);
  EXPECT_TRUE(connect());
  listener.reset();
  EXPECT_EQ(connect().error(), boost::asio::error::connection_refused);
  EXPECT_EQ(network.attempts().size(), 3u);
}

TEST_F(MemoryNetworkTest, ABlackHoleTakesUntilTheDeadline) {
  const auto listener = network.listen(context.get_executor(), mx);
  network.black_hole(mx);
  const auto start = clock.steady_now();
  EXPECT_EQ(connect().error(), boost::asio::error::timed_out);
  EXPECT_EQ(clock.steady_now(), start + 30s);
}

TEST_F(MemoryNetworkTest, ConnectsBothEnds) {
  const auto listener = network.listen(context.get_executor(), mx);
  auto client = connect();
  auto server = run(context, clock, listener->accept(context.get_executor()));
  EXPECT_TRUE(run(context, clock, write(**client, "x")));
  EXPECT_EQ((*client)->peer(), mx);
  EXPECT_EQ((*server)->peer(), (*client)->local());
  EXPECT_TRUE((*server)->has_input());
}

}  // namespace
}  // namespace mansio::fake
