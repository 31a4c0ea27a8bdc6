#include "delivery/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "delivery/channel_test_kit.h"
#include "delivery/probe.h"

namespace mansio::delivery {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::vector<std::string> texts(const Trace::View& view) {
  std::vector<std::string> out;
  for (const TraceLine& line : view.lines) {
    const char* side = line.side == TraceLine::Side::us     ? "> "
                       : line.side == TraceLine::Side::them ? "< "
                                                            : "* ";
    out.push_back(side + line.text);
  }
  return out;
}

/// A traced stream whose other end a test holds.
class TracedPair {
 public:
  TracedPair() {
    fake::MemoryStreamPair pair = fake::make_stream_pair(context.get_executor());
    const std::uint64_t number = book.ask("b.example");
    stream = traced(std::move(pair.first), book.take("b.example"), clock);
    peer = std::move(pair.second);
    trace = book.find(number);
  }

  void say(const std::string& octets) {
    std::vector<boost::asio::const_buffer> pieces = {boost::asio::buffer(octets)};
    ASSERT_TRUE(fake::run(context, clock, stream->write(std::move(pieces))));
  }

  void hear(const std::string& octets) {
    std::vector<boost::asio::const_buffer> pieces = {boost::asio::buffer(octets)};
    ASSERT_TRUE(fake::run(context, clock, peer->write(std::move(pieces))));
    std::string buffer(octets.size(), '\0');
    ASSERT_TRUE(fake::run(context, clock, stream->read_some(buffer)));
  }

  /// After the line that tells of the connection.
  std::vector<std::string> seen() const { return texts(trace->view(1)); }

  boost::asio::io_context context;
  fake::VirtualClock clock;
  TraceBook book{clock};
  std::unique_ptr<Stream> stream, peer;
  std::shared_ptr<Trace> trace;
};

TEST(Trace, ShowsCommandsAndRepliesLineByLine) {
  TracedPair pair;
  pair.hear("220-a\r\n220 b\r\n");
  pair.say("EHLO x\r\nNO");
  pair.say("OP\r\n");
  EXPECT_THAT(pair.seen(), ElementsAre("< 220-a", "< 220 b", "> EHLO x", "> NOOP"));
}

TEST(Trace, NeverShowsASecret) {
  TracedPair pair;
  pair.say("AUTH PLAIN AGdlaGVpbQBwYXNz\r\n");
  pair.hear("535 no\r\n");
  pair.say("auth LOGIN\r\n");
  pair.hear("334 VXNlcm5hbWU6\r\n");
  pair.say("dXNlcg==\r\n");
  pair.hear("334 UGFzc3dvcmQ6\r\n");
  pair.say("c2VjcmV0\r\n");
  pair.hear("235 ok\r\n");
  pair.say("MAIL FROM:<a@b>\r\n");
  EXPECT_THAT(pair.seen(),
              ElementsAre("> AUTH PLAIN (16 octets, a secret)", "< 535 no", "> AUTH LOGIN",
                          "< 334 VXNlcm5hbWU6", "> (9 octets, a secret)", "< 334 UGFzc3dvcmQ6",
                          "> (9 octets, a secret)", "< 235 ok", "> MAIL FROM:<a@b>"));
}

TEST(Trace, ShowsContentAsItsSize) {
  for (std::size_t cut = 1; cut < 40; ++cut) {
    TracedPair pair;
    pair.say("DATA\r\n");
    pair.hear("354 go\r\n");
    const std::string rest = "a: b\r\n\r\n..\r\n\r\r\n.x\r\n.\r\nMAIL FROM:<c@d>\r\nDATA\r\n";
    pair.say(rest.substr(0, cut));
    pair.say(rest.substr(cut));
    EXPECT_THAT(pair.seen(), ElementsAre("> DATA", "< 354 go", "> (19 octets of content)", "> .",
                                         "> MAIL FROM:<c@d>", "> DATA"))
        << cut;
  }
  TracedPair empty;
  empty.say("DATA\r\n");
  empty.hear("354 go\r\n");
  empty.say(".\r\nQUIT\r\n");
  EXPECT_THAT(empty.seen(),
              ElementsAre("> DATA", "< 354 go", "> (0 octets of content)", "> .", "> QUIT"));
}

TEST(Trace, ShowsChunksAsTheirSize) {
  TracedPair pair;
  pair.say("BDAT 5\r\nse");
  pair.say("cr\nBDAT 3 LAST\r\nabcQUIT\r\n");
  EXPECT_THAT(pair.seen(), ElementsAre("> BDAT 5", "> (5 octets of content)", "> BDAT 3 LAST",
                                       "> (3 octets of content)", "> QUIT"));
}

TEST(Trace, ShowsControlOctetsHarmlessly) {
  TracedPair pair;
  pair.hear("220 \x1b[31m\r\n");
  pair.hear("250 " + std::string(5000, 'x') + "\r\n");
  EXPECT_EQ(pair.seen()[0], "< 220 \\x1b[31m");
  EXPECT_EQ(pair.seen()[1].size(), 1002u);
}

TEST(Trace, IsBounded) {
  Trace trace;
  for (std::size_t i = 0; i < Trace::lines_max + 10; ++i) trace.add({});
  EXPECT_EQ(trace.view(0).lines_total, Trace::lines_max);
  EXPECT_TRUE(trace.view(0).cut);
  EXPECT_THAT(trace.view(Trace::lines_max - 1).lines, SizeIs(1));
  EXPECT_THAT(trace.view(Trace::lines_max + 5).lines, IsEmpty());
}

TEST(Trace, TellsOfTheEndOnce) {
  TracedPair pair;
  pair.peer->close();
  char octet = 0;
  EXPECT_FALSE(fake::run(pair.context, pair.clock, pair.stream->read_some({&octet, 1})));
  pair.stream->close();
  EXPECT_EQ(pair.trace->state(), Trace::State::running);
  pair.stream.reset();
  EXPECT_EQ(pair.trace->state(), Trace::State::over);
  EXPECT_THAT(pair.seen(), ElementsAre("* the peer closed the connection", "* connection closed"));
}

TEST(TraceBook, IsBoundedAndForgetsWhatNobodyReads) {
  fake::VirtualClock clock;
  TraceBook book(clock, std::chrono::minutes(10));
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < TraceBook::traces_max; ++i) numbers.push_back(book.ask("b.example"));
  EXPECT_EQ(book.ask("c.example"), 0u);
  book.forget(numbers[0]);
  EXPECT_EQ(book.find(numbers[0]), nullptr);
  EXPECT_NE(book.ask("c.example"), 0u);
  clock.advance(std::chrono::minutes(9));
  EXPECT_NE(book.find(numbers[1]), nullptr);
  clock.advance(std::chrono::minutes(2));
  EXPECT_NE(book.find(numbers[1]), nullptr);
  EXPECT_EQ(book.find(numbers[2]), nullptr);
  EXPECT_EQ(book.take("c.example"), nullptr);
  EXPECT_NE(book.take("B.Example"), nullptr);
  EXPECT_EQ(book.take("b.example"), nullptr);
}

TEST(Trace, HasTheWholeOfTheNextSession) {
  ChannelKit kit;
  const auto second = kit.add_server({"192.0.2.3", 25});
  kit.primary->on("connect", fake::Reaction("554 5.7.1 no\r\n", fake::Reaction::Then::close));
  const std::uint64_t other = kit.traces.ask("c.example");
  const std::uint64_t number = kit.traces.ask("B.example");
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  const auto trace = kit.traces.find(number);
  EXPECT_EQ(trace->state(), Trace::State::over);
  const std::vector<std::string> seen = texts(trace->view(0));
  EXPECT_EQ(seen[0], "* connecting to 192.0.2.2:25");
  EXPECT_THAT(seen, Contains("< 554 5.7.1 no"));
  EXPECT_THAT(seen, Contains("> RCPT TO:<r@b.example>"));
  EXPECT_THAT(seen, Contains(HasSubstr("octets of content")));
  EXPECT_THAT(seen, Contains("> QUIT"));
  EXPECT_THAT(seen, Not(Contains(HasSubstr("hello"))));
  EXPECT_EQ(kit.traces.find(other)->state(), Trace::State::waiting);
}

TEST(Trace, TellsWhyThereWasNoHost) {
  ChannelKit kit;
  kit.route.next_hop.clear();
  const std::uint64_t number = kit.traces.ask("b.example");
  kit.deliver_one();
  const auto trace = kit.traces.find(number);
  EXPECT_EQ(trace->state(), Trace::State::over);
  EXPECT_THAT(texts(trace->view(0)), ElementsAre(HasSubstr("does not exist")));
}

// ---- probing ----------------------------------------------------------------------------------

ProbeReport probe_of(ChannelKit& kit, std::size_t addresses_max = 5) {
  auto settings = std::make_shared<settings::Settings>();
  settings->routes.push_back(kit.route);
  const auto routes = kit.make_routes(std::move(settings));
  HostTable hosts;
  ConnectionPorts ports;
  ports.connector = &kit.network;
  ports.clock = &kit.clock;
  ports.hosts = &hosts;
  ports.tls = std::make_shared<fake::MemoryTlsContext>();
  ConnectionOptions options;
  options.ehlo = "out.example";
  return fake::run(kit.context, kit.clock,
                   probe(std::move(ports), std::move(options), *routes, "b.example", "s@a.example",
                         addresses_max));
}

TEST(Probe, TellsRouteHostsAndWhatEachSays) {
  ChannelKit kit;
  kit.route.next_hop.clear();
  kit.resolver->set_mx("b.example",
                       {{10, "mx1.b.example"}, {20, "mx2.b.example"}, {30, "localhost"}});
  kit.resolver->set_addresses("mx1.b.example", {"192.0.2.2"});
  kit.resolver->set_addresses("mx2.b.example", {"192.0.2.9"});
  kit.resolver->set_addresses("localhost", {"127.0.0.1"});
  const ProbeReport report = probe_of(kit);
  EXPECT_EQ(report.route, "*");
  EXPECT_EQ(report.channel, "smtp");
  EXPECT_EQ(report.how, "mx");
  EXPECT_EQ(report.tls, "none");
  EXPECT_EQ(report.failure, "");
  ASSERT_THAT(report.addresses, SizeIs(2));
  EXPECT_TRUE(report.addresses[0].ok);
  EXPECT_EQ(report.addresses[0].host, "mx1.b.example");
  EXPECT_EQ(report.addresses[0].preference, 10);
  EXPECT_NE(report.addresses[0].greeting, "");
  EXPECT_THAT(report.addresses[0].extensions, Not(IsEmpty()));
  EXPECT_FALSE(report.addresses[1].ok);
  EXPECT_THAT(report.addresses[1].trouble, HasSubstr("connect (network)"));
  EXPECT_THAT(report.left_out, ElementsAre(HasSubstr("loopback")));
  EXPECT_EQ(kit.primary->count("MAIL"), 0u);
  EXPECT_EQ(kit.primary->count("QUIT"), 1u);
}

TEST(Probe, TellsWhyThereIsNoHost) {
  ChannelKit kit;
  kit.route.next_hop.clear();
  const ProbeReport gone = probe_of(kit);
  EXPECT_TRUE(gone.failure_is_final);
  EXPECT_THAT(gone.failure, HasSubstr("550 5.1.2"));
  EXPECT_EQ(gone.how, "");
  kit.resolver->set_status("b.example", dns::Status::temporary);
  EXPECT_FALSE(probe_of(kit).failure_is_final);
  kit.route.channel = "hold";
  EXPECT_THAT(probe_of(kit).failure, HasSubstr("sends nothing"));
}

TEST(Probe, ConnectsToNoMoreAddressesThanAsked) {
  ChannelKit kit;
  kit.add_hop({"192.0.2.9", 25});
  const ProbeReport report = probe_of(kit, 1);
  EXPECT_THAT(report.addresses, SizeIs(1));
  EXPECT_THAT(report.left_out, ElementsAre("192.0.2.9 192.0.2.9:25: not probed"));
}

TEST(Probe, TellsOfTLSThatWasTriedInVain) {
  ChannelKit kit;
  kit.route.tls = "opportunistic";
  const ProbeReport report = probe_of(kit);
  EXPECT_TRUE(report.addresses.at(0).ok);
  EXPECT_EQ(report.addresses[0].tls, "");
  EXPECT_EQ(report.addresses[0].tls_trouble, "STARTTLS is not offered");
}

}  // namespace
}  // namespace mansio::delivery
