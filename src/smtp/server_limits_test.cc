// Bad input and limits: each has a definite reaction, and nothing is queued.
#include <gtest/gtest.h>

#include "smtp/server_conversation.h"

namespace mansio::smtp {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::Conversation;

constexpr std::string_view transaction =
    "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";
const std::string queued = "250 2.0.0 Ok: queued as ID\r\n";
const std::string pipelining = "554 5.5.1 Improper command pipelining\r\n";

std::string code_of(std::string_view replies) { return std::string(replies.substr(0, 9)); }

std::size_t count_lines(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// The replies to a message with this content.
std::string send_content(Conversation& talk, std::string content) {
  talk.send(std::string(transaction));
  return talk.send(std::move(content));
}

// ---- content ------------------------------------------------------------------------------------

TEST(ServerInput, NeverTakesAnOddSequenceForTheEndOfData_I1) {
  using namespace std::string_view_literals;
  for (std::string_view fake :
       {"\n.\n"sv, "\n.\r\n"sv, "\r\n.\n"sv, "\r.\r"sv, "\r\n.\r"sv, "\r.\r\n"sv}) {
    Conversation talk;
    talk.open();
    const std::string forged =
        "MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\nforged\r\n.\r\n";
    EXPECT_EQ(code_of(send_content(talk, "a" + std::string(fake) + forged)), "550 5.5.2");
    // Read to the true end, then closed: nothing behind it is a command either.
    EXPECT_TRUE(talk.over);
    EXPECT_EQ(talk.handler->messages.size(), 1u);
    EXPECT_TRUE(talk.handler->finished().empty());
    EXPECT_EQ(talk.handler->report->cause, "bare newline");
  }
}

TEST(ServerInput, NormalizesLoneNewlinesOnlyWhereAsked_I1) {
  ServerOptions options;
  options.bare_newline = BareNewline::normalize;
  Conversation talk(options);
  talk.open();
  EXPECT_EQ(send_content(talk, "a\n.\nb\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).content, "a\r\n.\r\nb\r\n");
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST(ServerInput, RefusesNulInContentAndCommands_I8) {
  using namespace std::string_view_literals;
  Conversation talk;
  talk.open();
  EXPECT_EQ(code_of(send_content(talk, std::string("a\0b\r\n.\r\n"sv))), "550 5.6.0");
  EXPECT_TRUE(talk.handler->finished().empty());
  EXPECT_EQ(code_of(talk.send(std::string("NOOP\0\r\n"sv))), "501 5.5.2");
  EXPECT_EQ(code_of(talk.send(std::string("\0\r\n"sv))), "501 5.5.2");
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST(ServerInput, TakesMessagesWithoutHeaderOrBody_I19) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(send_content(talk, ".\r\n"), queued);
  EXPECT_EQ(send_content(talk, "\r\n.\r\n"), queued);
  EXPECT_EQ(send_content(talk, "no header at all\r\n.\r\n"), queued);
  EXPECT_EQ(send_content(talk, "..\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).content, "");
  EXPECT_EQ(talk.handler->messages.at(3).content, ".\r\n");
}

TEST(ServerInput, RefusesLongLinesWhereAsked_I17) {
  ServerOptions options;
  options.long_line = LongLine::reject;
  Conversation talk(options);
  talk.open();
  EXPECT_EQ(send_content(talk, std::string(998, 'x') + "\r\n.\r\n"), queued);
  EXPECT_EQ(code_of(send_content(talk, std::string(999, 'x') + "\r\n.\r\n")), "554 5.6.0");
  EXPECT_EQ(talk.handler->finished().size(), 1u);

  Conversation lenient;
  lenient.open();
  EXPECT_EQ(send_content(lenient, std::string(100000, 'x') + "\r\n.\r\n"), queued);
}

TEST(ServerInput, CountsRealOctetsWhateverSizeSays_I20) {
  ServerOptions options;
  options.limits.message = 1000;
  Conversation talk(options);
  talk.open();
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> SIZE=1001\r\n")), "552 5.3.4");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> SIZE=-1\r\n")), "501 5.5.4");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> SIZE=1 SIZE=1\r\n")), "501 5.5.4");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> SIZE=18446744073709551616\r\n")),
            "501 5.5.4");
  talk.send("MAIL FROM:<a@x.example> SIZE=5\r\nRCPT TO:<b@y.example>\r\nDATA\r\n");
  std::string content;
  for (int i = 0; i < 11; ++i) content += std::string(98, 'x') + "\r\n";
  EXPECT_EQ(code_of(talk.send(content + ".\r\n")), "552 5.3.4");
  EXPECT_TRUE(talk.handler->finished().empty());
  EXPECT_EQ(send_content(talk, content.substr(0, 1000) + ".\r\n"), queued);
}

TEST(ServerInput, TakesEightBitContentWithoutItsParameter_I24) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> REQUIRETLS\r\n")), "555 5.5.4");
  EXPECT_EQ(send_content(talk, "\xc3\xa4\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).content, "\xc3\xa4\r\n");
}

// ---- order and pipelining -----------------------------------------------------------------------

TEST(ServerInput, RefusesTalkBeforeTheGreeting_I6) {
  Conversation talk({}, "EHLO client.example\r\nMAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(talk.start(), "554 5.5.1 Client spoke before the greeting\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(ServerInput, RefusesWhatIsPipelinedPastData_I6) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send(std::string(transaction) + "Subject: x\r\n.\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" + pipelining);
  EXPECT_TRUE(talk.over);
  EXPECT_TRUE(talk.handler->messages.empty());
}

TEST(ServerInput, RefusesWhatIsPipelinedPastEhlo_I6) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(talk.send("EHLO client.example\r\nMAIL FROM:<a@x.example>\r\n"), pipelining);
  EXPECT_TRUE(talk.over);
}

TEST(ServerInput, RefusesPipeliningOfAClientThatSaidHelo_I6) {
  Conversation talk;
  talk.start();
  talk.send("HELO client.example\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"), pipelining);
  EXPECT_TRUE(talk.over);
}

TEST(ServerInput, EndsOtherProtocolsAtOnce_I7) {
  for (std::string_view first :
       {"GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n", "CONNECT x:25 HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\nMAIL FROM:<evil@x.example>\r\n", "\x16\x03\x01\x02\x01",
        "\xff\xfe garbage"}) {
    Conversation talk;
    talk.start();
    EXPECT_EQ(talk.send(std::string(first)), "521 5.5.1 This is a mail server\r\n") << first;
    EXPECT_TRUE(talk.over);
    EXPECT_EQ(talk.handler->report->cause, "foreign protocol");
    EXPECT_TRUE(talk.handler->sizes.empty());
    Conversation early({}, std::string(first));
    EXPECT_EQ(early.start(), "521 5.5.1 This is a mail server\r\n") << first;
  }
}

TEST(ServerInput, WantsCrLfAfterCommands) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(code_of(talk.send("NOOP\n")), "500 5.5.2");
  EXPECT_EQ(code_of(talk.send("NOOP\r \r\n")), "501 5.5.2");
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST(ServerInput, RefusesBadAddressesAndParameters_I13_I23) {
  ServerOptions options;
  options.limits.errors_soft = options.limits.errors_hard = 100;
  Conversation talk(options);
  talk.open();
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a..b@x.example>\r\n")), "501 5.1.7");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example> FROB=1\r\n")), "555 5.5.4");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<a@" + std::string(64, 'd') + ".example>\r\n")),
            "501 5.1.3");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<a@x.example> NOTIFY=NEVER,SUCCESS\r\n")), "501 5.5.4");
  EXPECT_EQ(talk.send("RCPT TO:<@r.example:\"a\\\"B c\"@X.example>\r\n"), "250 2.1.5 Ok\r\n");
  talk.send("DATA\r\n");
  talk.send("x\r\n.\r\n");
  EXPECT_EQ(talk.handler->messages.at(0).envelope.recipients.at(0).address.to_string(),
            "\"a\\\"B c\"@X.example");  // I14: octet for octet
}

// ---- limits -------------------------------------------------------------------------------------

TEST(ServerLimit, SkipsCommandLinesThatAreTooLong_I16) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send("NOOP " + std::string(4089, 'x') + "\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(talk.send("NOOP " + std::string(4090, 'x') + "\r\n"), "500 5.5.2 Line too long\r\n");
  EXPECT_EQ(talk.send("NOOP " + std::string(500000, 'x') + "\r\nNOOP\r\n"),
            "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n");
  EXPECT_EQ(talk.send(std::string(3 << 20, 'x')), "500 5.5.2 Line too long\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(ServerLimit, AnswersRecipientsBeyondTheLimitTemporarily) {
  ServerOptions options;
  options.limits.recipients = 2;
  options.limits.errors_hard = 3;
  Conversation talk(options);
  talk.open();
  talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<1@y.example>\r\nRCPT TO:<2@y.example>\r\n");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(code_of(talk.send("RCPT TO:<3@y.example>\r\n")), "452 4.5.3");
  }
  talk.send("DATA\r\n");
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).envelope.recipients.size(), 2u);
}

TEST(ServerLimit, EndsAfterSoManyMessages) {
  ServerOptions options;
  options.limits.messages = 2;
  Conversation talk(options);
  talk.open();
  EXPECT_EQ(send_content(talk, "1\r\n.\r\n"), queued);
  EXPECT_EQ(send_content(talk, "2\r\n.\r\n"), queued);
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<a@x.example>\r\n")), "421 4.7.0");
  EXPECT_TRUE(talk.over);
}

TEST(ServerLimit, SlowsErrorsDownAndThenEnds_I27) {
  Conversation talk;
  talk.open();
  for (int i = 1; i < 10; ++i) EXPECT_EQ(code_of(talk.send("FROB\r\n")), "500 5.5.1") << i;
  for (int i = 10; i < 20; ++i) {
    EXPECT_EQ(talk.send("FROB\r\n"), "") << i;
    EXPECT_EQ(talk.pass(milliseconds(900)), "") << i;
    EXPECT_EQ(code_of(talk.pass(milliseconds(200))), "500 5.5.1") << i;
  }
  EXPECT_EQ(talk.send("FROB\r\n"),
            "500 5.5.1 Command not recognized\r\n421 4.7.0 Too many errors\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(ServerLimit, EndsAFloodOfRefusedRecipients_I27) {
  Conversation talk;
  talk.open();
  std::string flood = "MAIL FROM:<a@x.example>\r\n";
  for (int i = 0; i < 100; ++i) flood += "RCPT TO:<bad" + std::to_string(i) + "@y.example>\r\n";
  talk.send(flood);
  const std::string replies = talk.pass(minutes(1));
  EXPECT_TRUE(talk.over);
  EXPECT_EQ(count_lines(replies), 22u);  // MAIL, 20 refusals, 421
  EXPECT_NE(replies.find("421 4.7.0 Too many errors\r\n"), std::string::npos);
}

TEST(ServerLimit, EndsCommandsThatLeadToNoMail_I27) {
  for (std::string_view command : {"NOOP\r\n", "RSET\r\n", "VRFY x\r\n", "EHLO x.example\r\n"}) {
    Conversation talk;
    talk.open();
    for (int i = 0; i < 99; ++i) EXPECT_EQ(talk.send(std::string(command)).substr(0, 2), "25");
    EXPECT_EQ(talk.send(std::string(command)), "421 4.7.0 Too many commands without mail\r\n");
    EXPECT_TRUE(talk.over);
  }
}

TEST(ServerLimit, ForgivesAfterAnAcceptedMessage) {
  Conversation talk;
  talk.open();
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 50; ++i) talk.send("NOOP\r\n");
    for (int i = 0; i < 8; ++i) talk.send("FROB\r\n");
    EXPECT_EQ(send_content(talk, "x\r\n.\r\n"), queued);
  }
}

TEST(ServerLimit, EndsAnIdleConnection_I26) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.pass(seconds(299)), "");
  EXPECT_EQ(talk.pass(seconds(2)), "421 4.4.2 Idle for too long\r\n");
  EXPECT_TRUE(talk.over);
  EXPECT_TRUE(talk.closed);
  EXPECT_EQ(talk.handler->report->cause, "idle");
}

TEST(ServerLimit, IdleTimeStartsAnewWithEachCommand_I26) {
  Conversation talk;
  talk.open();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(talk.pass(seconds(250)), "");
    EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
  }
}

TEST(ServerLimit, IdlesForLessUnderStress_I26) {
  Conversation talk;
  talk.handler->stress = true;
  talk.open();
  EXPECT_EQ(talk.pass(seconds(29)), "");
  EXPECT_EQ(talk.pass(seconds(2)), "421 4.4.2 Idle for too long\r\n");
}

TEST(ServerLimit, EndsACommandThatComesOctetByOctet_I26) {
  Conversation talk;
  talk.open();
  std::string said;
  for (int i = 0; i < 10 && said.empty(); ++i) {
    talk.send("N");
    said = talk.pass(seconds(10));
  }
  EXPECT_EQ(said, "421 4.4.2 Command not complete within 1m\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(ServerLimit, EndsDataThatComesTooSlowly_I26) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  std::string said;
  int seconds_passed = 0;
  while (said.empty() && seconds_passed < 1000) {
    talk.send(std::string(400, 'x'));
    said = talk.pass(seconds(1));
    ++seconds_passed;
  }
  EXPECT_EQ(said, "421 4.4.2 Data comes too slowly\r\n");
  EXPECT_LE(seconds_passed, 61);
  EXPECT_TRUE(talk.handler->finished().empty());
}

TEST(ServerLimit, LetsDataAtTheMinimumRateEnd_I26) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  for (int i = 0; i < 600; ++i) {
    talk.send(std::string(508, 'x') + "\r\n");
    ASSERT_EQ(talk.pass(seconds(1)), "") << i;
  }
  EXPECT_EQ(talk.send(".\r\n"), queued);
}

TEST(ServerLimit, EndsAMessageThatTakesTooLong_I26) {
  ServerOptions options;
  options.limits.message_time = minutes(5);
  Conversation talk(options);
  talk.open();
  talk.send(std::string(transaction));
  std::string said;
  for (int i = 0; i < 400 && said.empty(); ++i) {
    talk.send(std::string(1000, 'x') + "\r\n");
    said = talk.pass(seconds(1));
  }
  EXPECT_EQ(said, "421 4.4.2 Message takes too long\r\n");
}

TEST(ServerLimit, TakesAllMinimumSizesOfTheRfc) {
  Conversation talk;
  talk.open();
  const std::string local(64, 'l');
  const std::string label(60, 'd');
  const std::string domain = label + "." + label + "." + label + ".x";
  talk.send("MAIL FROM:<" + local + "@" + domain + ">\r\n");
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(talk.send("RCPT TO:<r" + std::to_string(i) + "@y.example>\r\n"), "250 2.1.5 Ok\r\n");
  }
  talk.send("DATA\r\n");
  EXPECT_EQ(talk.send(std::string(998, 'x') + "\r\n.\r\n"), queued);
}

}  // namespace
}  // namespace mansio::smtp
