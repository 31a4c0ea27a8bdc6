// Peers that stall, talk nonsense, hang up or answer too little: what each recipient gets, and that
// nothing is lost, taken for another's reply or waited for without end.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <string>
#include <vector>

#include "delivery/channel_test_kit.h"

namespace mansio::delivery {
namespace {

using fake::Reaction;
using fake::Script;

Script&& opening(Script&& script) {
  return std::move(script).send("220 mx\r\n").expect("EHLO").send("250-mx\r\n250 PIPELINING\r\n");
}

TEST(PeerFaults, EachStepHasItsOwnTimeOut) {
  const settings::Timeouts defaults;
  const std::vector<std::pair<std::string, Duration>> steps = {
      {"connect", defaults.greeting}, {"EHLO", defaults.ehlo}, {"MAIL", defaults.mail},
      {"RCPT", defaults.rcpt},        {"DATA", defaults.data}, {".", defaults.final_dot}};
  for (const auto& [event, timeout] : steps) {
    ChannelKit kit;
    kit.primary->set_extensions({});
    kit.primary->on(event, Reaction("", Reaction::Then::stall));
    const SteadyTime before = kit.clock.steady_now();
    const Disposition disposition = kit.deliver_one();
    EXPECT_EQ(disposition.cause, Cause::timeout) << event;
    EXPECT_EQ(kit.clock.steady_now() - before, timeout) << event;
  }
}

TEST(PeerFaults, AStallAtQuitCostsLittleAndNothingIsLost) {
  ChannelKit kit;
  kit.primary->on("QUIT", Reaction("", Reaction::Then::stall));
  const SteadyTime before = kit.clock.steady_now();
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_LE(kit.clock.steady_now() - before, Duration(std::chrono::seconds(5)));
}

TEST(PeerFaults, AStallWithinTheContentEndsWithoutDoubt) {
  ChannelKit kit;
  kit.network.set_capacity(10000);
  kit.primary->follow(opening(Script())
                          .expect("MAIL")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 ok\r\n250 ok\r\n354 go\r\n")
                          .wait(std::chrono::hours(1))
                          .close());
  const Disposition disposition = kit.deliver_one({.content = std::string(300000, 'x') + "\r\n"});
  EXPECT_EQ(disposition.cause, Cause::timeout);
  EXPECT_EQ(disposition.stage, Stage::body);
  EXPECT_FALSE(disposition.in_doubt);
  EXPECT_EQ(kit.lane.done[0].dots, 0);
}

TEST(PeerFaults, AStallInTheHandshakeIsATimeOutOfThatStep) {
  ChannelKit kit;
  kit.route.tls = "required";
  kit.primary->follow(Script()
                          .send("220 mx\r\n")
                          .expect("EHLO")
                          .send("250-mx\r\n250 STARTTLS\r\n")
                          .expect("STARTTLS")
                          .send("220 go\r\n")
                          .wait(std::chrono::hours(1))
                          .close());
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.cause, Cause::timeout);
  EXPECT_EQ(disposition.stage, Stage::starttls);
}

TEST(PeerFaults, GarbageIsADeferralAndTheConnectionEnds) {
  const std::vector<std::string> replies = {
      "099 no\r\n",
      "666 no\r\n",
      "hello\r\n",
      "250-a\r\n550 b\r\n",
      std::string("250 a\0b\r\n", 9),
      "250 " + std::string(1 << 20, 'x') + "\r\n",
      "250 ok\r\n250 and again\r\n",
      "354 go\r\n",
  };
  for (const std::string event : {"MAIL", "RCPT"}) {
    for (const std::string& reply : replies) {
      for (const bool pipelining : {true, false}) {
        ChannelKit kit;
        if (!pipelining) kit.primary->set_extensions({});
        kit.primary->on(event, Reaction(reply));
        kit.add({});
        kit.add({});
        kit.run();
        ASSERT_EQ(kit.lane.done.size(), 1u) << reply.substr(0, 40);
        const Disposition disposition = kit.lane.done[0].dispositions[0];
        EXPECT_EQ(disposition.outcome, Outcome::deferred) << event << reply.substr(0, 40);
        EXPECT_EQ(disposition.cause, Cause::protocol) << event << reply.substr(0, 40);
        EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{4, 5, 0})) << reply.substr(0, 40);
        EXPECT_LE(disposition.reply.text.size(), 4096u);
        EXPECT_TRUE(kit.primary->deliveries().empty()) << event << reply.substr(0, 40);
      }
    }
  }
}

TEST(PeerFaults, AnEndlessReplyIsCutOff) {
  ChannelKit kit;
  std::string endless;
  for (int i = 0; i < 5000; ++i) endless += "220-and more\r\n";
  kit.primary->on("connect", Reaction(endless));
  EXPECT_EQ(kit.deliver_one().cause, Cause::protocol);
}

TEST(PeerFaults, TextOfAPeerIsKeptCappedAndAsItIs) {
  ChannelKit kit;
  kit.primary->on("RCPT",
                  "550-5.1.1 <user@x> \"quoted\" \x1b[31m\r\n550 5.1.1 Final-Recipient: x\r\n");
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.reply.text, "<user@x> \"quoted\" \x1b[31m\nFinal-Recipient: x");
  EXPECT_EQ(disposition.reply.to_string().find('\x1b'), std::string::npos);
}

TEST(PeerFaults, AHangUpAfterTheDotIsInDoubtAndOnlyForTheAccepted) {
  ChannelKit kit;
  kit.primary->on("RCPT TO:<b@", "550 5.1.1 no\r\n");
  kit.primary->on(".", Reaction("", Reaction::Then::reset));
  const auto dispositions = kit.deliver({.recipients = {"a@b.example", "b@b.example"}});
  ASSERT_EQ(dispositions.size(), 2u);
  EXPECT_TRUE(dispositions[0].in_doubt);
  EXPECT_EQ(dispositions[0].outcome, Outcome::deferred);
  EXPECT_FALSE(dispositions[1].in_doubt);
  EXPECT_EQ(dispositions[1].outcome, Outcome::failed);
}

TEST(PeerFaults, A421AfterTheDotIsAReplyAndEndsTheSession) {
  ChannelKit kit;
  kit.primary->on(".", "421 4.3.2 closing\r\n");
  kit.add({});
  kit.add({});
  const SessionReport report = kit.run();
  ASSERT_EQ(kit.lane.done.size(), 1u);
  EXPECT_EQ(kit.lane.done[0].dispositions[0].outcome, Outcome::deferred);
  EXPECT_FALSE(kit.lane.done[0].dispositions[0].in_doubt);
  EXPECT_TRUE(report.trouble.has_value());
  EXPECT_EQ(kit.lane.put_backs, 1);  // its envelope had left with the dot
  EXPECT_EQ(kit.lane.waiting.size(), 1u);
}

TEST(PeerFaults, MissingLmtpRepliesAreInDoubtForThoseOnly) {
  for (const bool stalls : {false, true}) {
    ChannelKit kit(true);
    const Reaction silence("", stalls ? Reaction::Then::stall : Reaction::Then::close);
    kit.primary->on(". b@b.example", silence);
    const auto dispositions =
        kit.deliver({.recipients = {"a@b.example", "b@b.example", "c@b.example"}});
    ASSERT_EQ(dispositions.size(), 3u);
    EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
    EXPECT_TRUE(dispositions[1].in_doubt);
    EXPECT_TRUE(dispositions[2].in_doubt);
    EXPECT_EQ(dispositions[2].outcome, Outcome::deferred);
  }
}

TEST(PeerFaults, AConnectionClosedBetweenMessagesCostsNoTry) {
  ChannelKit kit;
  kit.primary->follow(opening(Script())
                          .expect("MAIL")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 ok\r\n250 ok\r\n354 go\r\n")
                          .read_data()
                          .send("250 ok\r\n")
                          .close());
  kit.add({});
  kit.add({.sender = "second@a.example"});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.put_backs, 1);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->connections().size(), 2u);
}

TEST(PeerFaults, AFirstReplyOf421OnAReusedConnectionCostsNoTry) {
  ChannelKit kit;
  kit.primary->follow(opening(Script())
                          .expect("MAIL")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 ok\r\n250 ok\r\n354 go\r\n")
                          .read_data()
                          .send("250 ok\r\n421 4.7.0 one message only\r\n")
                          .close());
  kit.add({});
  kit.add({});
  const SessionReport report = kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::delivered);
  EXPECT_FALSE(report.trouble.has_value());
}

TEST(PeerFaults, ARefusalWithinTheContentIsThePeersWord) {
  ChannelKit kit;
  kit.network.set_capacity(10000);
  kit.primary->follow(opening(Script())
                          .expect("MAIL")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 ok\r\n250 ok\r\n354 go\r\n552 5.3.4 too much\r\n")
                          .drain());
  const Disposition disposition = kit.deliver_one({.content = std::string(300000, 'x') + "\r\n"});
  // The refusal came with the 354, before it could be an answer: more replies than commands.
  EXPECT_EQ(disposition.cause, Cause::protocol);
  EXPECT_FALSE(disposition.in_doubt);
}

TEST(PeerFaults, ContentThatCannotBeReadNeverGetsAFinalDot) {
  ChannelKit kit;
  std::string content = "A: b\r\n\r\n";
  for (int i = 0; i < 100; ++i) content += "line\r\n";
  const Disposition disposition =
      kit.deliver_one({.content = content, .kind = TestContent::Kind::fails});
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.cause, Cause::local);
  EXPECT_FALSE(disposition.counts_as_try);
  EXPECT_FALSE(disposition.in_doubt);
  EXPECT_TRUE(kit.primary->deliveries().empty());
}

TEST(PeerFaults, OpportunisticTlsFallsBackToPlainTextOnANewConnection) {
  ChannelKit kit;
  kit.route.tls = "opportunistic";
  kit.primary->set_extensions({"STARTTLS", "PIPELINING"});
  kit.primary->follow(Script()
                          .send("220 mx\r\n")
                          .expect("EHLO")
                          .send("250-mx\r\n250 STARTTLS\r\n")
                          .expect("STARTTLS")
                          .send("220 go\r\n")
                          .close());
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.tls, "");
  ASSERT_EQ(kit.primary->connections().size(), 2u);
  EXPECT_EQ(kit.primary->count("STARTTLS"), 1u);
  // The next session knows; once the memory has faded, TLS is tried again.
  EXPECT_EQ(kit.deliver_one().tls, "");
  EXPECT_EQ(kit.primary->count("STARTTLS"), 1u);
  kit.clock.advance(std::chrono::minutes(2));
  EXPECT_NE(kit.deliver_one().tls, "");
}

TEST(PeerFaults, ForgetsWhatWasOfferedBeforeTls) {
  ChannelKit kit;
  kit.route.tls = "required";
  kit.primary->follow(Script()
                          .send("220 mx\r\n")
                          .expect("EHLO")
                          .send("250-mx\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 DSN\r\n")
                          .expect("STARTTLS")
                          .send("220 go\r\n")
                          .start_tls()
                          .expect("EHLO")
                          .send("250 mx\r\n")
                          .expect("MAIL FROM:<s@a.example>")
                          .send("250 ok\r\n")
                          .expect("RCPT")
                          .send("250 ok\r\n")
                          .expect("DATA")
                          .send("354 go\r\n")
                          .read_data()
                          .send("250 ok\r\n")
                          .expect("QUIT")
                          .send("221 bye\r\n")
                          .close());
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
  EXPECT_FALSE(disposition.peer_has_dsn);
  EXPECT_EQ(kit.primary->connections()[0].problem, "");
}

TEST(PeerFaults, AuthenticatesOnlyUnderTls) {
  settings::Auth auth;
  auth.user = "user";
  auth.password = "secret";
  ChannelKit plain;
  plain.route.auth = auth;
  plain.primary->set_extensions({"AUTH PLAIN LOGIN"});
  const Disposition refused = plain.deliver_one();
  EXPECT_EQ(refused.outcome, Outcome::deferred);
  EXPECT_EQ(refused.cause, Cause::policy);
  EXPECT_EQ(plain.primary->count("AUTH"), 0u);

  ChannelKit secure;
  secure.route.tls = "required";
  secure.route.auth = auth;
  secure.primary->set_extensions({"STARTTLS", "AUTH LOGIN PLAIN"});
  secure.primary->on("AUTH", "235 2.7.0 ok\r\n");
  EXPECT_EQ(secure.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(secure.primary->count("AUTH PLAIN AHVzZXIAc2VjcmV0"), 1u);

  ChannelKit login;
  login.route.tls = "required";
  login.route.auth = auth;
  login.primary->set_extensions({"STARTTLS", "AUTH=LOGIN"});
  login.primary->on("AUTH LOGIN", "334 VXNlcm5hbWU6\r\n");
  login.primary->on("dXNlcg==", "334 UGFzc3dvcmQ6\r\n");
  login.primary->on("c2VjcmV0", "235 2.7.0 ok\r\n");
  EXPECT_EQ(login.deliver_one().outcome, Outcome::delivered);
}

TEST(PeerFaults, ReadsRepliesInAnyPieces) {
  ChannelKit kit;
  kit.network.set_read_chunk(1);
  for (int i = 0; i < 3; ++i) kit.add({.recipients = {"a@b.example", "b@b.example"}});
  kit.run();
  EXPECT_EQ(kit.primary->deliveries().size(), 3u);
}

/// Cancels a session once nothing moves any more; the server has seen `last_line` by then.
void stop_after(ChannelKit& kit, const std::string& last_line) {
  boost::asio::cancellation_signal signal;
  bool done = false;
  SessionRequest request;
  request.lane.destination = "b.example";
  request.binding.ehlo = "out.example";
  boost::asio::co_spawn(
      kit.context, kit.channel().run(std::move(request), kit.lane),
      boost::asio::bind_cancellation_slot(
          signal.slot(), [&done](std::exception_ptr, SessionReport) { done = true; }));
  fake::run_until_idle(kit.context);
  kit.context.restart();
  ASSERT_FALSE(done);
  if (!last_line.empty()) {
    ASSERT_EQ(kit.primary->connections()[0].lines.back(), last_line);
  }
  signal.emit(boost::asio::cancellation_type::terminal);
  fake::run_until_idle(kit.context);
  EXPECT_TRUE(done);
}

TEST(PeerFaults, AStopBeforeTheDotPutsTheWorkBack) {
  ChannelKit kit;
  kit.lane.keep_put_back = true;
  kit.primary->on("DATA", Reaction("", Reaction::Then::stall));
  kit.add({});
  stop_after(kit, "DATA");
  EXPECT_EQ(kit.lane.put_backs, 1);
  EXPECT_TRUE(kit.lane.done.empty());
}

TEST(PeerFaults, AStopWhileConnectingOrOpeningPutsTheWorkBack) {
  for (const std::string stage : {"connecting", "greeting", "EHLO out.example"}) {
    ChannelKit kit;
    kit.lane.keep_put_back = true;
    if (stage == "connecting") kit.network.black_hole({"192.0.2.2", 25});
    if (stage == "greeting") kit.primary->on("connect", Reaction("", Reaction::Then::stall));
    kit.primary->on("EHLO", Reaction("", Reaction::Then::stall));
    kit.add({});
    stop_after(kit, stage.starts_with("EHLO") ? stage : "");
    EXPECT_EQ(kit.lane.put_backs, 1) << stage;
    EXPECT_TRUE(kit.lane.done.empty()) << stage;
  }
}

TEST(PeerFaults, AStopAfterTheDotLeavesTheWorkInDoubt) {
  ChannelKit kit;
  kit.lane.keep_put_back = true;
  kit.primary->on(".", Reaction("", Reaction::Then::stall));
  kit.add({});
  stop_after(kit, "DATA");
  ASSERT_EQ(kit.lane.done.size(), 1u);
  EXPECT_TRUE(kit.lane.done[0].dispositions[0].in_doubt);
  EXPECT_EQ(kit.lane.put_backs, 0);
}

}  // namespace
}  // namespace mansio::delivery
