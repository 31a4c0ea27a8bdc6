// Items of the RFC checklist (docs/CONFORMANCE.md) that no other test of the server names.
#include <gtest/gtest.h>

#include <regex>

#include "base/text.h"
#include "smtp/server_conversation.h"

namespace mansio::smtp {
namespace {

using test::Conversation;

constexpr std::string_view transaction =
    "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";
const std::string queued = "250 2.0.0 Ok: queued as ID\r\n";

TEST(ServerRfc, GivesOneReplyToTheContentOfSeveralRecipients_R12) {
  Conversation talk;
  talk.open();
  talk.send(
      "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n");
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
}

TEST(ServerRfc, KeepsFinishedTransactionsOfALostConnection_R14) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  EXPECT_EQ(talk.send("first\r\n.\r\n"), queued);
  talk.send(std::string(transaction));
  talk.send("second");
  talk.hang_up();
  ASSERT_EQ(talk.handler->messages.size(), 2u);
  EXPECT_TRUE(talk.handler->messages[0].finished);
  EXPECT_FALSE(talk.handler->messages[1].finished);
}

TEST(ServerRfc, CutsASourceRouteInTheReversePath_R38) {
  Conversation talk;
  talk.open();
  talk.send(
      "MAIL FROM:<@one.example,@two.example:a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).envelope.reverse_path.to_string(), "a@x.example");
}

TEST(ServerRfc, PutsAnEnhancedCodeOnEveryReply_R49) {
  // Everything the server says to a client that has been greeted, good and bad.
  const std::vector<std::string> commands = {"NOOP",
                                             "RSET",
                                             "VRFY a",
                                             "EXPN a",
                                             "HELP",
                                             "FROB",
                                             "AUTH PLAIN AA==",
                                             "STARTTLS",
                                             "DATA",
                                             "RCPT TO:<b@y.example>",
                                             "MAIL",
                                             "MAIL FROM:<a",
                                             "MAIL FROM:<a@x.example> SIZE=x",
                                             "MAIL FROM:<a@x.example> REQUIRETLS",
                                             "MAIL FROM:<\u00E4@x.example>",
                                             "MAIL FROM:<a@x.example> SIZE=99999999999",
                                             "BDAT 0",
                                             "NO\x01P",
                                             std::string(5000, 'x'),
                                             "MAIL FROM:<a@x.example>",
                                             "MAIL FROM:<a@x.example>",
                                             "DATA",
                                             "BDAT 0 LAST",
                                             "RCPT TO:<bad@y.example>",
                                             "RCPT TO:<",
                                             "RCPT TO:<b@y.example> NOTIFY=X",
                                             "RCPT TO:<b@y.example>",
                                             "DATA x",
                                             "BDAT 1\r\nx",
                                             "RCPT TO:<b@y.example>",
                                             "BDAT 0 LAST",
                                             "BDAT 1 LAST\r\nx",
                                             "QUIT"};
  ServerOptions options;
  options.limits.errors_soft = options.limits.errors_hard = 1000;
  Conversation talk(options);
  talk.open();
  const std::regex form("([245])[0-9][0-9][ -]([245])\\.[0-9]{1,3}\\.[0-9]{1,3} .+");
  for (const std::string& command : commands) {
    const std::string said = talk.send(command + "\r\n");
    ASSERT_FALSE(said.empty()) << command.substr(0, 60);
    for (const std::string_view line : split(trim(said), '\n')) {
      std::smatch parts;
      const std::string text(trim(line));
      ASSERT_TRUE(std::regex_match(text, parts, form)) << command.substr(0, 60) << ": " << text;
      EXPECT_EQ(parts[1], parts[2]) << text;
    }
  }
  EXPECT_TRUE(talk.over);
}

TEST(ServerRfc, GivesGreetingAndHelloNoEnhancedCode_R49) {
  Conversation talk;
  EXPECT_EQ(talk.start(), "220 mx.example ESMTP Mansio\r\n");
  EXPECT_EQ(talk.send("HELO client.example\r\n"), "250 mx.example\r\n");
  EXPECT_EQ(talk.send("EHLO client.example\r\n").substr(0, 16), "250-mx.example\r\n");
}

TEST(ServerRfc, OffersWhatEveryServerShould_R44) {
  ServerOptions options;
  options.limits.message = 12345;
  Conversation talk(options);
  talk.start();
  const std::string offered = talk.send("EHLO client.example\r\n");
  for (const char* keyword : {"PIPELINING", "SIZE 12345", "ENHANCEDSTATUSCODES", "8BITMIME",
                              "SMTPUTF8", "CHUNKING", "BINARYMIME"}) {
    EXPECT_NE(offered.find("\r\n250-" + std::string(keyword) + "\r\n"), std::string::npos);
  }
  EXPECT_NE(offered.find("\r\n250 DSN\r\n"), std::string::npos);
  EXPECT_EQ(offered.find("REQUIRETLS"), std::string::npos);
  EXPECT_EQ(offered.find("AUTH"), std::string::npos);
}

TEST(ServerRfc, SendsNothingToAnyoneWithoutAValidRecipient_R42) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<bad@y.example>\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n550 5.1.1 No such user\r\n554 5.5.1 No valid recipients\r\n");
  EXPECT_TRUE(talk.handler->messages.empty());
}

TEST(ServerRfc, TakesNoAuthenticationInPlainText_R76) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send("AUTH PLAIN AGEAYg==\r\n").substr(0, 9), "502 5.5.1");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example> AUTH=<>\r\n").substr(0, 9), "555 5.5.4");  // R78
}

TEST(ServerRfc, LmtpOffersPipeliningAndEnhancedCodes_R81) {
  ServerOptions options;
  options.lmtp = true;
  Conversation talk(options);
  talk.start();
  const std::string offered = talk.send("LHLO client.example\r\n");
  EXPECT_NE(offered.find("250-PIPELINING\r\n"), std::string::npos);
  EXPECT_NE(offered.find("250-ENHANCEDSTATUSCODES\r\n"), std::string::npos);
}

}  // namespace
}  // namespace mansio::smtp
