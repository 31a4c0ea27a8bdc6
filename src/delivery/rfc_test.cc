// Items of the RFC checklist (docs/CONFORMANCE.md) that no other test of delivery names.
#include <gtest/gtest.h>

#include "delivery/channel_test_kit.h"

namespace mansio::delivery {
namespace {

using fake::Reaction;
using fake::Script;

TEST(DeliveryRfc, ARefusalOfMailIsNotRememberedForOtherMessages_R27) {
  ChannelKit kit;
  kit.primary->on("MAIL FROM:<s@a.example>", Reaction("550 5.7.1 not you\r\n").once());
  for (int i = 0; i < 2; ++i) kit.add({});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[0].dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::delivered);
}

TEST(DeliveryRfc, SaysAnAddressLiteralWhereNoNameIsKnown_R20) {
  ChannelKit kit;
  SessionRequest request;
  request.lane.destination = "b.example";
  kit.add({});
  auto running = kit.channel().run(std::move(request), kit.lane);
  fake::run(kit.context, kit.clock, std::move(running));
  const std::string hello = kit.primary->connections().at(0).lines.at(0);
  EXPECT_TRUE(hello.starts_with("EHLO [")) << hello;
  EXPECT_TRUE(hello.ends_with("]")) << hello;
}

TEST(DeliveryRfc, WaitsByDefaultAtLeastAsLongAsTheStandardAsks_R25) {
  const settings::Timeouts timeouts;
  using std::chrono::minutes;
  EXPECT_GE(timeouts.greeting, minutes(5));
  EXPECT_GE(timeouts.mail, minutes(5));
  EXPECT_GE(timeouts.rcpt, minutes(5));
  EXPECT_GE(timeouts.data, minutes(2));
  EXPECT_GE(timeouts.block, minutes(3));
  EXPECT_GE(timeouts.final_dot, minutes(10));
}

TEST(DeliveryRfc, ActsOnTheCodeAloneWhateverTheTextSays_R3) {
  ChannelKit kit;
  kit.primary->on("RCPT", Reaction("259 550 5.1.1 no such user\r\n").once());
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  kit.primary->on("RCPT", Reaction("499 250 2.1.5 fine\r\n").once());
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::deferred);
  kit.primary->on("RCPT", Reaction("599 250 2.1.5 fine\r\n").once());
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::failed);
}

TEST(DeliveryRfc, SendsContentOnlyAfter354_R5) {
  for (const char* reply : {"250 2.0.0 go on\r\n", "451 4.3.0 not now\r\n", "554 5.5.1 no\r\n"}) {
    ChannelKit kit;
    kit.primary->on("DATA", Reaction(reply));
    EXPECT_NE(kit.deliver_one().outcome, Outcome::delivered) << reply;
    EXPECT_TRUE(kit.primary->deliveries().empty());
    EXPECT_EQ(kit.primary->count("hello"), 0u) << reply;
    EXPECT_EQ(kit.primary->count("Subject"), 0u) << reply;
  }
}

TEST(DeliveryRfc, WaitsForTheReplyToQuit_R15) {
  ChannelKit kit;
  kit.primary->follow(Script()
                          .send("220 mx\r\n")
                          .expect("EHLO")
                          .send("250 mx\r\n")
                          .expect("MAIL")
                          .send("250 ok\r\n")
                          .expect("RCPT")
                          .send("250 ok\r\n")
                          .expect("DATA")
                          .send("354 go\r\n")
                          .read_data()
                          .send("250 ok\r\n")
                          .expect("QUIT")
                          .wait(std::chrono::seconds(2))
                          .send("221 bye\r\n")
                          .close());
  const auto before = kit.clock.steady_now();
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->connections().at(0).problem, "");
  EXPECT_GE(kit.clock.steady_now() - before, std::chrono::seconds(2));
}

TEST(DeliveryRfc, NeverReplacesTheNullReversePath_R36) {
  ChannelKit kit;
  EXPECT_EQ(kit.deliver_one({.sender = ""}).outcome, Outcome::delivered);
  EXPECT_TRUE(kit.primary->deliveries().at(0).mail.starts_with("MAIL FROM:<>"));
}

TEST(DeliveryRfc, LeavesTheMessageAsItIs_R37) {
  const std::string odd =
      "From: a@x.example\r\nFrom: b@x.example\r\nBcc: c@x.example\r\n.Odd : field\r\n"
      "To: <not an address\r\nReturn-Path: <old@x.example>\r\n\r\n..dots\r\n.\r\n \r\n";
  ChannelKit kit;
  EXPECT_EQ(kit.deliver_one({.content = odd}).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries().at(0).content, odd);
}

}  // namespace
}  // namespace mansio::delivery
