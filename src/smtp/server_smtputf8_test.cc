// Internationalised mail in (RFC 6531).
#include <gtest/gtest.h>

#include "smtp/server_conversation.h"

namespace mansio::smtp {
namespace {

using test::Conversation;

std::string code_of(const std::string& reply) { return reply.substr(0, 9); }

TEST(ServerSmtputf8, IsOfferedTogetherWith8bitmime_R50) {
  Conversation talk;
  talk.start();
  const std::string offered = talk.send("EHLO client.example\r\n");
  EXPECT_NE(offered.find("\r\n250-SMTPUTF8\r\n"), std::string::npos);
  EXPECT_NE(offered.find("\r\n250-8BITMIME\r\n"), std::string::npos);
}

TEST(ServerSmtputf8, TakesUtf8AddressesOnlyWithItsParameter_I15) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<\u00E4@x.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@b\u00FCcher.example>\r\n")), "553 5.6.7");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<\u00E4@x.example>\r\n")), "553 5.6.7");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<\xE4@x.example>\r\n")), "501 5.1.3");
  talk.send("RSET\r\n");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<\u00E4@x.example> SMTPUTF8\r\n")), "250 2.1.0");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<\u00F6@B\u00DCCHER.example> "
                              "ORCPT=utf-8;\u00F6@b\u00FCcher.example\r\n")),
            "250 2.1.5");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<\u00F6@a\u2100b.example>\r\n")), "501 5.1.3");
  talk.send("DATA\r\n");
  EXPECT_EQ(code_of(talk.send("Subject: \u00FC\r\n\r\nx\r\n.\r\n")), "250 2.0.0");
  const auto message = talk.handler->finished().at(0);
  EXPECT_TRUE(message.envelope.smtputf8);
  EXPECT_EQ(message.envelope.recipients.at(0).address.to_string(), "\u00F6@B\u00DCCHER.example");
  EXPECT_EQ(message.envelope.recipients[0].original_recipient, "utf-8;\u00F6@b\u00FCcher.example");
  EXPECT_EQ(message.content, "Subject: \u00FC\r\n\r\nx\r\n");
}

TEST(ServerSmtputf8, NamesItsProtocol) {
  for (const bool lmtp : {false, true}) {
    ServerOptions options;
    options.lmtp = lmtp;
    Conversation talk(options);
    talk.start();
    talk.send(lmtp ? "LHLO client.example\r\n" : "EHLO client.example\r\n");
    talk.send("MAIL FROM:<a@x.example> SMTPUTF8\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
    talk.send("x\r\n.\r\n");
    talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
    talk.send("x\r\n.\r\n");
    const auto finished = talk.handler->finished();
    ASSERT_EQ(finished.size(), 2u);
    EXPECT_EQ(finished[0].envelope.origin.protocol, lmtp ? "UTF8LMTP" : "UTF8SMTP");
    EXPECT_EQ(finished[1].envelope.origin.protocol, lmtp ? "LMTP" : "ESMTP");
  }
}

TEST(ServerSmtputf8, PutsUtf8IntoRepliesOnlyAfterItsParameter_R53) {
  Conversation talk;
  talk.open();
  talk.handler->on_mail = {450, {4, 7, 1}, "Sp\u00E4ter\u202E"};
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n"), "450 4.7.1 Sp?ter?\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example> SMTPUTF8\r\n"), "450 4.7.1 Sp\u00E4ter?\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n"), "450 4.7.1 Sp?ter?\r\n");
  talk.handler->on_mail = {250, {2, 1, 0}, "Ok"};
  talk.handler->on_data = Reply{451, {4, 3, 0}, "\u00FC\xFF"};
  EXPECT_EQ(
      talk.send("MAIL FROM:<a@x.example> SMTPUTF8\r\nRCPT TO:<b@y.example>\r\nDATA\r\n").substr(28),
      "451 4.3.0 \u00FC?\r\n");
}

TEST(ServerSmtputf8, IsHarmlessToVrfyAndExpn) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(code_of(talk.send("VRFY \u00E4@x.example SMTPUTF8\r\n")), "252 2.5.0");
  EXPECT_EQ(code_of(talk.send("VRFY a@x.example\r\n")), "252 2.5.0");
  EXPECT_EQ(code_of(talk.send("EXPN list SMTPUTF8\r\n")), "502 5.5.1");
}

TEST(ServerSmtputf8, WantsAnAsciiNameOfTheClient_R52) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(talk.send("EHLO b\u00FCcher.example\r\n").substr(0, 3), "501");
  EXPECT_EQ(talk.send("EHLO xn--bcher-kva.example\r\n").substr(0, 3), "250");
}

TEST(ServerSmtputf8, KeepsA8BitHeaderOfOrdinaryMail) {
  Conversation talk;
  talk.open();
  talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
  EXPECT_EQ(code_of(talk.send("Subject: \xE4\r\n\r\nx\r\n.\r\n")), "250 2.0.0");
  EXPECT_EQ(talk.handler->finished().at(0).content, "Subject: \xE4\r\n\r\nx\r\n");
}

}  // namespace
}  // namespace mansio::smtp
