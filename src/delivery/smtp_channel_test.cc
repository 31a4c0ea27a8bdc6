// One session of the SMTP channel against a scripted server: the ordinary ways through.
#include "delivery/smtp_channel.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "delivery/channel_test_kit.h"

namespace mansio::delivery {
namespace {

using fake::Script;

TEST(SmtpChannel, DeliversAMessage) {
  ChannelKit kit;
  const Disposition disposition = kit.deliver_one({.content = "A: b\r\n\r\n.dot\r\nend"});
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.reply.code, 250);
  EXPECT_EQ(disposition.stage, Stage::final_dot);
  EXPECT_EQ(disposition.host, "192.0.2.2");
  EXPECT_EQ(disposition.address, "192.0.2.2:25");
  EXPECT_TRUE(disposition.peer_has_dsn);
  EXPECT_FALSE(kit.report.trouble.has_value());
  EXPECT_EQ(kit.report.messages, 1u);
  ASSERT_EQ(kit.primary->deliveries().size(), 1u);
  EXPECT_EQ(kit.primary->deliveries()[0].content, "A: b\r\n\r\n.dot\r\nend\r\n");
  EXPECT_EQ(kit.primary->deliveries()[0].mail, "MAIL FROM:<s@a.example> SIZE=17");
  const std::vector<std::string> lines = {"EHLO out.example", "MAIL FROM:<s@a.example> SIZE=17",
                                          "RCPT TO:<r@b.example>", "DATA", "QUIT"};
  EXPECT_EQ(kit.primary->connections()[0].lines, lines);
  EXPECT_EQ(kit.lane.done[0].dots, 1);
}

TEST(SmtpChannel, SendsAnEmptyMessageAndTheNullSender) {
  ChannelKit kit;
  EXPECT_EQ(kit.deliver_one({.sender = "", .content = ""}).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries()[0].content, "");
  EXPECT_TRUE(kit.primary->deliveries()[0].mail.starts_with("MAIL FROM:<>"));
}

TEST(SmtpChannel, SendsALargeMessageInPieces) {
  for (const TestContent::Kind kind : {TestContent::Kind::in_memory, TestContent::Kind::pieces}) {
    ChannelKit kit;
    std::string content = "A: b\r\n\r\n";
    for (int i = 0; i < 20000; ++i) content += "." + std::to_string(i) + "\r\n";
    EXPECT_EQ(kit.deliver_one({.content = content, .kind = kind}).outcome, Outcome::delivered);
    EXPECT_EQ(kit.primary->deliveries()[0].content, content);
  }
}

TEST(SmtpChannel, PassesDsnParametersOnExactlyAsReceivedWhereOffered) {
  TestMessage message;
  message.change = [](Message& changed) {
    changed.envelope.dsn_return = DsnReturn::headers;
    changed.envelope.envelope_id = "QQ314159+2B";
    Recipient& recipient = changed.envelope.recipients[0];
    recipient.notify.present = true;
    recipient.notify.success = true;
    recipient.notify.delay = true;
    recipient.original_recipient = "rfc822;R+2Bx@b.example";
  };
  ChannelKit with;
  with.deliver_one(message);
  EXPECT_EQ(with.primary->count("MAIL FROM:<s@a.example> SIZE=21 RET=HDRS ENVID=QQ314159+2B"), 1u);
  EXPECT_EQ(with.primary->count(
                "RCPT TO:<r@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;R+2Bx@b.example"),
            1u);
  ChannelKit without;
  without.primary->set_extensions({"PIPELINING"});
  EXPECT_FALSE(without.deliver_one(message).peer_has_dsn);
  const std::vector<std::string>& lines = without.primary->connections()[0].lines;
  EXPECT_EQ(lines[1], "MAIL FROM:<s@a.example>");
  EXPECT_EQ(lines[2], "RCPT TO:<r@b.example>");
}

TEST(SmtpChannel, NeverSendsControlCharactersOfAStoredEnvelope) {
  ChannelKit kit;
  TestMessage message;
  message.recipients = {"a@b.example", "c@b.example"};
  message.change = [](Message& changed) {
    changed.envelope.recipients[0].original_recipient = "rfc822;x\r\nRCPT TO:<evil@x>";
  };
  const std::vector<Disposition> dispositions = kit.deliver(message);
  EXPECT_EQ(dispositions[0].outcome, Outcome::deferred);
  EXPECT_EQ(dispositions[0].cause, Cause::local);
  EXPECT_FALSE(dispositions[0].counts_as_try);
  EXPECT_EQ(dispositions[1].outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->count("RCPT"), 1u);
}

TEST(SmtpChannel, SendsTheNextEnvelopeWithTheFinalDot) {
  ChannelKit kit;
  for (int i = 0; i < 3; ++i) kit.add({.sender = "s" + std::to_string(i) + "@a.example"});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 3u);
  for (const auto& entry : kit.lane.done) {
    EXPECT_EQ(entry.dispositions[0].outcome, Outcome::delivered);
  }
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  EXPECT_EQ(kit.primary->deliveries().size(), 3u);
  EXPECT_EQ(kit.primary->count("RSET"), 0u);
}

TEST(SmtpChannel, HasAtMostOneFinalDotUnanswered) {
  // The server says nothing about the first dot until it has seen the second envelope, and would
  // take content before its 354 for commands.
  ChannelKit kit;
  kit.primary->follow(Script()
                          .send("220 mx\r\n")
                          .expect("EHLO")
                          .send("250-mx\r\n250 PIPELINING\r\n")
                          .expect("MAIL FROM:<s0@")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 ok\r\n250 ok\r\n354 go\r\n")
                          .read_data()
                          .expect("MAIL FROM:<s1@")
                          .expect("RCPT")
                          .expect("DATA")
                          .send("250 first\r\n250 ok\r\n250 ok\r\n354 go\r\n")
                          .read_data()
                          .send("550 5.7.1 second\r\n")
                          .expect("QUIT")
                          .send("221 bye\r\n")
                          .close());
  for (int i = 0; i < 2; ++i) kit.add({.sender = "s" + std::to_string(i) + "@a.example"});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[0].dispositions[0].reply.text, "first");
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].reply.text, "second");
  EXPECT_EQ(kit.primary->connections()[0].problem, "");
}

TEST(SmtpChannel, WaitsForMoreWorkAndReusesTheConnection) {
  ChannelKit kit;
  kit.add({});
  kit.lane.later.push_back(TestMessage{}.work());
  kit.run();
  EXPECT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  ASSERT_EQ(kit.lane.waits.size(), 2u);
  EXPECT_EQ(kit.lane.waits[0], Duration(std::chrono::seconds(5)));
  EXPECT_EQ(kit.primary->count("QUIT"), 1u);
}

TEST(SmtpChannel, ReconnectsWhenAnIdleConnectionWentStale) {
  ChannelKit kit;
  kit.add({});
  kit.lane.later.push_back(TestMessage{}.work());
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
                          .send("250 ok\r\n421 idle too long\r\n")
                          .close());
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->connections().size(), 2u);
}

TEST(SmtpChannel, EndsTheSessionAtItsLimitOfMessages) {
  ChannelKit kit;
  kit.request.messages_max = 2;
  for (int i = 0; i < 3; ++i) kit.add({});
  kit.run();
  EXPECT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.waiting.size(), 1u);
  EXPECT_EQ(kit.primary->count("MAIL"), 2u);
  EXPECT_EQ(kit.primary->count("QUIT"), 1u);
}

TEST(SmtpChannel, SplitsRecipientsOverTransactions) {
  ChannelKit kit;
  kit.request.recipients_max = 2;
  const auto dispositions = kit.deliver(
      {.recipients = {"a@b.example", "b@b.example", "c@b.example", "d@b.example", "e@b.example"}});
  ASSERT_EQ(dispositions.size(), 5u);
  for (const Disposition& disposition : dispositions) {
    EXPECT_EQ(disposition.outcome, Outcome::delivered);
  }
  EXPECT_EQ(kit.primary->deliveries().size(), 3u);
  EXPECT_EQ(kit.lane.done.size(), 1u);
}

TEST(SmtpChannel, PutsRecipientsThatAreTooManyIntoAnotherTransaction) {
  for (const std::string reply :
       {"452 4.5.3 too many\r\n", "452 too many\r\n", "552 too many\r\n"}) {
    ChannelKit kit;
    kit.primary->on("RCPT TO:<c@", fake::Reaction(reply).once());
    kit.primary->on("RCPT TO:<d@", fake::Reaction(reply).once());
    const auto dispositions =
        kit.deliver({.recipients = {"a@b.example", "b@b.example", "c@b.example", "d@b.example"}});
    ASSERT_EQ(dispositions.size(), 4u) << reply;
    for (const Disposition& disposition : dispositions) {
      EXPECT_EQ(disposition.outcome, Outcome::delivered) << reply;
    }
    EXPECT_EQ(kit.primary->deliveries().size(), 2u) << reply;
  }
}

TEST(SmtpChannel, DefersTheTooManyWhenNoneIsAccepted) {
  ChannelKit kit;
  kit.primary->on("RCPT", "452 4.5.3 too many\r\n");
  const auto dispositions = kit.deliver({.recipients = {"a@b.example", "b@b.example"}});
  ASSERT_EQ(dispositions.size(), 2u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::deferred);
  EXPECT_EQ(kit.primary->count("RCPT"), 2u);
}

TEST(SmtpChannel, FallsBackToHeloAndGoesStepByStep) {
  ChannelKit kit;
  kit.primary->on("EHLO", "502 5.5.1 what\r\n");
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->count("HELO out.example"), 1u);
  EXPECT_EQ(kit.primary->count("MAIL FROM:<s@a.example>"), 1u);
}

TEST(SmtpChannel, FailsAMessageThatIsTooLargeWithoutTrying) {
  ChannelKit kit;
  kit.primary->set_extensions({"SIZE 20", "PIPELINING"});
  kit.add({.content = "A: b\r\n\r\nx\r\n"});
  kit.add({.content = std::string(30, 'x') + "\r\n"});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);  // the large one first: there was nothing to wait for
  const Disposition large = kit.lane.done[0].dispositions[0];
  EXPECT_EQ(large.outcome, Outcome::failed);
  EXPECT_EQ(large.reply.enhanced, (EnhancedCode{5, 3, 4}));
  EXPECT_EQ(kit.primary->count("MAIL"), 1u);
}

TEST(SmtpChannel, FailsOnlyTheRecipientsThatNeedSmtputf8) {
  ChannelKit kit;
  const auto dispositions = kit.deliver({.recipients = {"\xc3\xbc@b.example", "a@b.example"}});
  ASSERT_EQ(dispositions.size(), 2u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[0].reply.enhanced, (EnhancedCode{5, 6, 7}));
  EXPECT_EQ(dispositions[1].outcome, Outcome::delivered);
  kit.primary->set_extensions({"SMTPUTF8", "8BITMIME"});
  ChannelKit with;
  with.primary->set_extensions({"SMTPUTF8", "8BITMIME"});
  EXPECT_EQ(with.deliver_one({.recipients = {"\xc3\xbc@b.example"}}).outcome, Outcome::delivered);
  EXPECT_EQ(with.primary->count("MAIL FROM:<s@a.example> SMTPUTF8"), 1u);
}

TEST(SmtpChannel, TriesTheHostsInOrderWithinOneAttempt) {
  ChannelKit kit;
  kit.network.refuse({"192.0.2.2", 25});
  kit.network.black_hole({"192.0.2.3", 25});
  kit.add_hop({"192.0.2.3", 25});
  const auto third = kit.add_server({"192.0.2.4", 25});
  third->on("connect", fake::Reaction("554 5.7.1 not you\r\n", fake::Reaction::Then::close));
  const auto fourth = kit.add_server({"192.0.2.5", 25});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.address, "192.0.2.5:25");
  EXPECT_FALSE(kit.report.trouble.has_value());
  EXPECT_EQ(kit.network.attempts().size(), 4u);
  // The next session goes to the host that works at once.
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(kit.network.attempts().size(), 5u);
}

TEST(SmtpChannel, AHostThatLacksWhatARouteWantsIsNotAvoidedLater) {
  ChannelKit kit;  // the first host offers no STARTTLS
  kit.route.tls = "required";
  const auto second = kit.add_server({"192.0.2.5", 25});
  second->set_extensions({"STARTTLS"});
  EXPECT_EQ(kit.deliver_one().address, "192.0.2.5:25");
  EXPECT_EQ(kit.network.attempts().size(), 2u);
  // Other routes share what is known of hosts, and for them the first one is good.
  EXPECT_EQ(kit.deliver_one().address, "192.0.2.5:25");
  EXPECT_EQ(kit.network.attempts().size(), 4u) << "the first one was asked again";
}

TEST(SmtpChannel, TriesHostsThatFailedLatelyWhenNothingElseIsLeft) {
  ChannelKit kit;
  kit.network.refuse({"192.0.2.2", 25});
  const Disposition refused = kit.deliver_one();
  EXPECT_EQ(refused.outcome, Outcome::deferred);
  EXPECT_EQ(refused.stage, Stage::connect);
  EXPECT_EQ(refused.reply.enhanced, (EnhancedCode{4, 4, 1}));
  EXPECT_TRUE(refused.counts_as_try);
  ASSERT_TRUE(kit.report.trouble.has_value());
  EXPECT_EQ(kit.report.messages, 0u);
  kit.network.accept({"192.0.2.2", 25});
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
}

TEST(SmtpChannel, LeavesTheRestOfTheLaneAloneWhenNoHostWorks) {
  ChannelKit kit;
  kit.network.refuse({"192.0.2.2", 25});
  kit.add({});
  kit.add({});
  kit.run();
  EXPECT_EQ(kit.lane.done.size(), 1u);
  EXPECT_EQ(kit.lane.waiting.size(), 1u);
}

TEST(SmtpChannel, AnyTemporaryHostWinsOverAPermanentOne) {
  ChannelKit kit;
  kit.primary->on("connect", fake::Reaction("450 4.3.2 later\r\n", fake::Reaction::Then::close));
  const auto second = kit.add_server({"192.0.2.3", 25});
  second->on("connect", fake::Reaction("521 5.3.2 no mail\r\n", fake::Reaction::Then::close));
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.reply.code, 450);
}

TEST(SmtpChannel, ARefusalForGoodNeedsTheWordOfEveryHost) {
  ChannelKit kit;
  const fake::Reaction no_mail("521 5.3.2 no mail\r\n", fake::Reaction::Then::close);
  kit.primary->on("connect", no_mail);
  std::vector<std::unique_ptr<fake::ScriptedServer>> others;
  for (int i = 3; i <= 7; ++i) {
    others.push_back(kit.add_server({"192.0.2." + std::to_string(i), 25}));
    others.back()->on("connect", no_mail);
  }
  const Disposition disposition = kit.deliver_one();  // five of the six are asked
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.reply.code, 521);
}

TEST(SmtpChannel, ADestinationWithoutARouteIsDeferred) {
  ChannelKit kit;
  kit.route.pattern = "other.example";
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_FALSE(disposition.counts_as_try);
  EXPECT_NE(disposition.reply.text.find("no [route] matches"), std::string::npos);
  EXPECT_TRUE(kit.report.trouble.has_value());
  EXPECT_NE(kit.channel().describe("b.example").find("no [route] matches"), std::string::npos);
}

TEST(SmtpChannel, DoesNothingWithoutWork) {
  ChannelKit kit;
  kit.run();
  EXPECT_TRUE(kit.network.attempts().empty());
  EXPECT_EQ(kit.channel().describe("x"), "192.0.2.2:25");
}

}  // namespace
}  // namespace mansio::delivery
