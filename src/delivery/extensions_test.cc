// What leaves when the host has an extension, and when it has not: SMTPUTF8 (RFC 6531), BINARYMIME
// and CHUNKING (RFC 3030), 8BITMIME (RFC 6152).
#include <gtest/gtest.h>

#include "delivery/channel_test_kit.h"
#include "delivery/smtp_target.h"

namespace mansio::delivery {
namespace {

using fake::Reaction;

const std::vector<std::string> plain{"PIPELINING", "ENHANCEDSTATUSCODES"};
const std::vector<std::string> international{"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"};
const std::vector<std::string> binary{"PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME"};
const std::vector<std::string> binary_step_by_step{"CHUNKING", "BINARYMIME"};

std::string binary_content() {
  std::string every = "\r\n";
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  return "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
         "Content-Transfer-Encoding: binary\r\n" +
         every + "\n.\r\n.\r\n" + std::string(5000, 'x');
}

TestMessage binary_message() {
  TestMessage message;
  message.content = binary_content();
  message.change = [](Message& changed) { changed.envelope.body = BodyType::binary_mime; };
  return message;
}

std::vector<Outcome> outcomes(const std::vector<Disposition>& dispositions) {
  std::vector<Outcome> result;
  for (const Disposition& disposition : dispositions) result.push_back(disposition.outcome);
  return result;
}

// ---- SMTPUTF8 -----------------------------------------------------------------------------------

TEST(Smtputf8Out, IsAskedOnlyWhereItIsOfferedAndNeeded_R51) {
  ChannelKit kit;
  kit.primary->set_extensions(international);
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->count("MAIL FROM:<s@a.example>"), 1u);
  EXPECT_EQ(kit.primary->connections()[0].lines[1].find("SMTPUTF8"), std::string::npos);
  EXPECT_EQ(kit.deliver_one({.sender = "\u00FC@a.example"}).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries()[1].mail, "MAIL FROM:<\u00FC@a.example> SMTPUTF8");
  EXPECT_EQ(kit.deliver_one({.recipients = {"r@B\u00DCCHER.example"}}).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries()[2].mail, "MAIL FROM:<s@a.example> SMTPUTF8");
  EXPECT_EQ(kit.primary->deliveries()[2].recipients[0], "RCPT TO:<r@B\u00DCCHER.example>");
  TestMessage header{.content = "Subject: \u00FC\r\n\r\nx\r\n"};
  header.change = [](Message& message) { message.envelope.smtputf8 = true; };
  EXPECT_EQ(kit.deliver_one(header).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries()[3].mail, "MAIL FROM:<s@a.example> BODY=8BITMIME SMTPUTF8");
}

TEST(Smtputf8Out, SendsALabelsToHostsWithoutItWhereThatIsEnough_R51) {
  ChannelKit kit;
  kit.primary->set_extensions(plain);
  const Disposition disposition =
      kit.deliver_one({.sender = "s@\u00E4.example", .recipients = {"r@B\u00DCCHER.example"}});
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->deliveries()[0].mail, "MAIL FROM:<s@xn--4ca.example>");
  EXPECT_EQ(kit.primary->deliveries()[0].recipients[0], "RCPT TO:<r@xn--bcher-kva.example>");
}

TEST(Smtputf8Out, FailsOnlyTheRecipientsConcernedByTheirIndex_R51) {
  // The outcome of a converted recipient must come back to the recipient as it was given.
  for (const bool lmtp : {false, true}) {
    ChannelKit kit(lmtp);
    kit.primary->set_extensions(plain);
    kit.primary->on("RCPT TO:<gone@xn--bcher-kva.example>", Reaction("550 5.1.1 no\r\n"));
    kit.primary->on(". late@xn--bcher-kva.example", Reaction("452 4.2.2 full\r\n"));
    const auto dispositions =
        kit.deliver({.recipients = {"\u00FC@b.example", "gone@b\u00FCcher.example", "a@b.example",
                                    "\u00FC@b\u00FCcher.example", "late@b\u00FCcher.example"}});
    ASSERT_EQ(dispositions.size(), 5u);
    EXPECT_EQ(
        outcomes(dispositions),
        (std::vector<Outcome>{Outcome::failed, Outcome::failed, Outcome::delivered, Outcome::failed,
                              lmtp ? Outcome::deferred : Outcome::delivered}));
    EXPECT_EQ(dispositions[0].reply.to_string(),
              "553 5.6.7 the host does not support SMTPUTF8, which this address needs");
    EXPECT_EQ(dispositions[1].reply.enhanced, (EnhancedCode{5, 1, 1}));
    EXPECT_EQ(dispositions[3].reply.enhanced, (EnhancedCode{5, 6, 7}));
  }
}

TEST(Smtputf8Out, IsNeededForTheLocalPartOfTheSenderAndForTheHeader_R51) {
  TestMessage header{.content = "Subject: \u00FC\r\n\r\nx\r\n"};
  header.change = [](Message& message) { message.envelope.smtputf8 = true; };
  for (const TestMessage& message : {TestMessage{.sender = "\u00FC@a.example"}, header}) {
    ChannelKit kit;
    kit.primary->set_extensions({"8BITMIME"});
    const Disposition disposition = kit.deliver_one(message);
    EXPECT_EQ(disposition.outcome, Outcome::failed);
    EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{5, 6, 7}));
    EXPECT_EQ(disposition.cause, Cause::extension);
    EXPECT_EQ(kit.primary->count("MAIL"), 0u);
  }
}

TEST(Smtputf8Out, IsNotNeededWhereEverythingIsAscii_R51) {
  TestMessage message;
  message.change = [](Message& changed) { changed.envelope.smtputf8 = true; };
  ChannelKit kit;
  kit.primary->set_extensions(plain);
  EXPECT_EQ(kit.deliver_one(message).outcome, Outcome::delivered);
}

TEST(Smtputf8Out, NamesTheRecipientAsItCameToTheHostThatReports_R42) {
  ChannelKit kit;
  kit.primary->set_extensions({"DSN"});
  kit.deliver_one({.recipients = {"r@b\u00FCcher.example"}});
  EXPECT_EQ(kit.primary->deliveries()[0].recipients[0],
            "RCPT TO:<r@xn--bcher-kva.example> ORCPT=utf-8;r@b\\x{FC}cher.example");
  kit.deliver_one({});
  EXPECT_EQ(kit.primary->deliveries()[1].recipients[0], "RCPT TO:<r@b.example>");
}

// ---- BINARYMIME ---------------------------------------------------------------------------------

TEST(BinaryOut, GoesInChunksWhereItIsOffered_R48) {
  for (const auto& extensions : {binary, binary_step_by_step}) {
    ChannelKit kit;
    kit.primary->set_extensions(extensions);
    EXPECT_EQ(kit.deliver_one(binary_message()).outcome, Outcome::delivered);
    ASSERT_EQ(kit.primary->deliveries().size(), 1u);
    EXPECT_EQ(kit.primary->deliveries()[0].mail, "MAIL FROM:<s@a.example> BODY=BINARYMIME");
    EXPECT_EQ(kit.primary->deliveries()[0].content, binary_content());
    EXPECT_EQ(kit.primary->count("DATA"), 0u);
    EXPECT_EQ(kit.primary->count("BDAT " + std::to_string(binary_content().size()) + " LAST"), 1u);
    EXPECT_EQ(kit.lane.done.at(0).dots, 1);
  }
}

TEST(BinaryOut, SendsLargeContentInChunksThatAreAnswered) {
  for (const auto kind : {TestContent::Kind::in_memory, TestContent::Kind::pieces}) {
    ChannelKit kit;
    kit.primary->set_extensions(binary);
    TestMessage message = binary_message();
    message.kind = kind;
    while (message.content.size() < 1000000) message.content += binary_content();
    EXPECT_EQ(kit.deliver_one(message).outcome, Outcome::delivered);
    EXPECT_EQ(kit.primary->deliveries().at(0).content, message.content);
    EXPECT_GE(kit.primary->count("BDAT"), 3u);
    EXPECT_EQ(kit.lane.done.at(0).dots, 1);
  }
}

TEST(BinaryOut, LetsTheNextEnvelopeFollowTheLastChunk) {
  ChannelKit kit;
  kit.primary->set_extensions(binary);
  kit.add(binary_message());
  kit.add({.sender = "s1@a.example"});
  kit.add(binary_message());
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 3u);
  for (const auto& entry : kit.lane.done) {
    EXPECT_EQ(entry.dispositions[0].outcome, Outcome::delivered);
  }
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  EXPECT_EQ(kit.primary->deliveries()[0].content, binary_content());
  EXPECT_EQ(kit.primary->deliveries()[2].content, binary_content());
}

TEST(BinaryOut, TakesARefusedChunkForTheAnswerAndGoesOn) {
  ChannelKit kit;
  kit.primary->set_extensions(binary);
  kit.primary->on("BDAT", Reaction("552 5.3.4 too much\r\n").once());
  TestMessage large = binary_message();
  while (large.content.size() < 600000) large.content += binary_content();
  kit.add(large);
  kit.add({.sender = "s1@a.example"});
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[0].dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(kit.lane.done[0].dispositions[0].reply.to_string(), "552 5.3.4 too much");
  EXPECT_FALSE(kit.lane.done[0].dispositions[0].in_doubt);
  EXPECT_EQ(kit.lane.done[0].dots, 0);
  EXPECT_EQ(kit.lane.done[1].dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->count("RSET"), 1u);
  EXPECT_EQ(kit.primary->connections().size(), 1u);
}

TEST(BinaryOut, EndsWithRsetWhenNoRecipientIsAccepted_R42) {
  for (const auto& extensions : {binary, binary_step_by_step}) {
    ChannelKit kit;
    kit.primary->set_extensions(extensions);
    kit.primary->on("RCPT", Reaction("550 5.1.1 no\r\n").once());
    EXPECT_EQ(kit.deliver_one(binary_message()).outcome, Outcome::failed);
    EXPECT_EQ(kit.primary->count("BDAT"), 0u);
    EXPECT_EQ(kit.primary->count("RSET"), 1u);
  }
}

TEST(BinaryOut, IsInDoubtOnlyAfterTheLastChunk) {
  TestMessage large = binary_message();
  while (large.content.size() < 600000) large.content += binary_content();
  ChannelKit early;
  early.primary->set_extensions(binary);
  early.primary->on("BDAT", Reaction("", Reaction::Then::close));
  const Disposition before = early.deliver_one(large);
  EXPECT_EQ(before.outcome, Outcome::deferred);
  EXPECT_FALSE(before.in_doubt);
  EXPECT_EQ(early.lane.done.at(0).dots, 0);
  ChannelKit late;
  late.primary->set_extensions(binary);
  late.primary->on(".", Reaction("", Reaction::Then::close));
  const Disposition after = late.deliver_one(large);
  EXPECT_EQ(after.outcome, Outcome::deferred);
  EXPECT_TRUE(after.in_doubt);
  EXPECT_EQ(late.lane.done.at(0).dots, 1);
}

TEST(BinaryOut, GetsAReplyPerRecipientOfLmtpAfterTheLastChunk_R80) {
  ChannelKit kit(true);
  kit.primary->set_extensions(binary);
  kit.primary->on(". b@b.example", Reaction("452 4.2.2 full\r\n"));
  TestMessage message = binary_message();
  message.recipients = {"a@b.example", "b@b.example", "c@b.example"};
  while (message.content.size() < 600000) message.content += binary_content();
  EXPECT_EQ(outcomes(kit.deliver(message)),
            (std::vector<Outcome>{Outcome::delivered, Outcome::deferred, Outcome::delivered}));
}

TEST(BinaryOut, IsConvertedForHostsWithoutIt_R48) {
  for (const std::vector<std::string>& extensions :
       {plain, std::vector<std::string>{"8BITMIME", "CHUNKING"},
        std::vector<std::string>{"8BITMIME", "BINARYMIME"}}) {
    ChannelKit kit;
    kit.primary->set_extensions(extensions);
    EXPECT_EQ(kit.deliver_one(binary_message()).outcome, Outcome::delivered);
    const std::string& content = kit.primary->deliveries().at(0).content;
    EXPECT_NE(content.find("Content-Transfer-Encoding: base64\r\n"), std::string::npos);
    EXPECT_EQ(content.find("binary"), std::string::npos);
    EXPECT_EQ(kit.primary->deliveries()[0].mail.find("BINARYMIME"), std::string::npos);
    EXPECT_EQ(kit.primary->count("BDAT"), 0u);
  }
}

TEST(BinaryOut, FailsWithTheReasonWhereItCannotBeConverted_R48) {
  const auto failure = [](std::string content) {
    ChannelKit kit;
    kit.primary->set_extensions(plain);
    TestMessage message = binary_message();
    message.content = std::move(content);
    const Disposition disposition = kit.deliver_one(message);
    EXPECT_EQ(disposition.outcome, Outcome::failed);
    EXPECT_EQ(kit.primary->count("MAIL"), 0u);
    return disposition.reply.to_string();
  };
  const std::string start =
      "554 5.6.3 the host does not take binary content, and the message cannot be converted: ";
  EXPECT_EQ(failure("DKIM-Signature: v=1\r\n\r\na\nb\r\n"), start + "it is signed");
  EXPECT_EQ(failure("Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\na\nb\r\n"),
            start + "it holds a message with binary content");
  EXPECT_EQ(failure("A: b\r\n\r\n" + std::string(9 << 20, '\n')),
            start + "it is too large to be converted");
}

TEST(BinaryOut, WorksThroughTheTargetInterface_R48) {
  ChannelKit kit;
  kit.primary->set_extensions(binary);
  auto settings = std::make_shared<settings::Settings>();
  settings->routes.push_back(kit.route);
  Binding binding;
  binding.ehlo = "out.example";
  SmtpTarget target({}, "b.example", binding, kit.make_routes(settings), kit.network, kit.clock,
                    nullptr, nullptr);
  const auto work = binary_message().work();
  const Message& message = work->message();
  auto starting = target.start(message);
  Started started = fake::run(kit.context, kit.clock, std::move(starting));
  ASSERT_TRUE(started.delivery);
  auto adding = started.delivery->add_recipient(message.envelope.recipients[0]);
  EXPECT_EQ(fake::run(kit.context, kit.clock, std::move(adding)).outcome, Outcome::delivered);
  auto sending = started.delivery->body(work->content());
  EXPECT_EQ(fake::run(kit.context, kit.clock, std::move(sending)).outcome, Outcome::delivered);
  auto ending = started.delivery->commit();
  fake::run(kit.context, kit.clock, std::move(ending));
  EXPECT_EQ(kit.primary->deliveries().at(0).content, binary_content());
}

}  // namespace
}  // namespace mansio::delivery
