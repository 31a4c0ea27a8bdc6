// Content in chunks (RFC 3030): every state, and that no octet of a chunk is ever taken for a
// command.
#include <gtest/gtest.h>

#include "smtp/server_conversation.h"

namespace mansio::smtp {
namespace {

using test::Conversation;

const std::string envelope = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n";
const std::string binary_envelope =
    "MAIL FROM:<a@x.example> BODY=BINARYMIME\r\nRCPT TO:<b@y.example>\r\n";
const std::string queued = "250 2.0.0 Ok: queued as ID\r\n";

std::string chunk(const std::string& octets, bool last = false) {
  return "BDAT " + std::to_string(octets.size()) + (last ? " LAST\r\n" : "\r\n") + octets;
}

std::string code_of(const std::string& reply) { return reply.substr(0, 9); }

/// What was stored of one message sent as `chunks`, the last of which ends it.
std::string stored(const std::vector<std::string>& chunks, const std::string& mail = envelope,
                   ServerOptions options = {}) {
  Conversation talk(std::move(options));
  talk.open();
  talk.send(mail);
  for (std::size_t i = 0; i < chunks.size(); ++i)
    talk.send(chunk(chunks[i], i + 1 == chunks.size()));
  const auto finished = talk.handler->finished();
  return finished.size() == 1 ? finished[0].content : "nothing";
}

TEST(ServerBdat, AnswersEachChunkAndQueuesAtTheLast_R47) {
  Conversation talk;
  talk.open();
  talk.send(envelope);
  EXPECT_EQ(talk.send(chunk("Subject: x\r\n\r\n")), "250 2.0.0 14 octets received\r\n");
  EXPECT_EQ(talk.send(chunk("..dots\r\n.\r\n")), "250 2.0.0 11 octets received\r\n");
  EXPECT_EQ(talk.send(chunk("end\r\n", true)), queued);
  EXPECT_EQ(talk.handler->finished().at(0).content, "Subject: x\r\n\r\n..dots\r\n.\r\nend\r\n");
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST(ServerBdat, TakesALastChunkOfNothing_I21) {
  EXPECT_EQ(stored({"x: y\r\n\r\nz\r\n", ""}), "x: y\r\n\r\nz\r\n");
  EXPECT_EQ(stored({""}), "");
}

TEST(ServerBdat, WorksPipelinedAndWhateverThePiecesAre_R47) {
  const std::string all = envelope + chunk("a: b\r\n\r\nQUIT\r\n") + chunk("RSET\r\n") +
                          chunk("DATA\r\n.\r\n", true) + envelope + chunk("c\r\n", true) +
                          "QUIT\r\n";
  std::string whole;
  for (const std::size_t piece : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    Conversation talk({}, {}, piece);
    talk.open();
    const std::string said = talk.send(all);
    EXPECT_EQ(said,
              "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 14 octets received\r\n"
              "250 2.0.0 6 octets received\r\n" +
                  queued + "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" + queued + "221 2.0.0 Bye\r\n");
    const auto finished = talk.handler->finished();
    ASSERT_EQ(finished.size(), 2u);
    EXPECT_EQ(finished[0].content, "a: b\r\n\r\nQUIT\r\nRSET\r\nDATA\r\n.\r\n");
    EXPECT_EQ(finished[1].content, "c\r\n");
  }
}

TEST(ServerBdat, ReadsAndDropsExactlyWhatItRefuses_I21) {
  const std::string commands = "RSET\r\nQUIT\r\n";
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send(chunk(commands) + "NOOP\r\n"),
            "503 5.5.1 MAIL comes first\r\n250 2.0.0 Ok\r\n");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(talk.send("RCPT TO:<bad@y.example>\r\n" + chunk(commands, true) + "NOOP\r\n"),
            "550 5.1.1 No such user\r\n503 5.5.1 No valid recipients\r\n250 2.0.0 Ok\r\n");
  EXPECT_EQ(talk.send("RCPT TO:<b@y.example>\r\n"), "250 2.1.5 Ok\r\n");
  talk.handler->on_data = Reply{451, {4, 3, 0}, "Not now"};
  EXPECT_EQ(talk.send(chunk(commands) + chunk(commands, true) + "NOOP\r\n"),
            "451 4.3.0 Not now\r\n451 4.3.0 Not now\r\n250 2.0.0 Ok\r\n");
  EXPECT_FALSE(talk.over);
  EXPECT_TRUE(talk.handler->messages.empty());
}

TEST(ServerBdat, RefusesChunksAfterTheLast_R47) {
  Conversation talk;
  talk.open();
  talk.send(envelope + chunk("x\r\n", true));
  EXPECT_EQ(talk.send(chunk("QUIT\r\n")), "503 5.5.1 MAIL comes first\r\n");
  EXPECT_EQ(talk.send(chunk("QUIT\r\n", true)), "503 5.5.1 MAIL comes first\r\n");
  EXPECT_EQ(code_of(talk.send("DATA\r\n")), "503 5.5.1");
  talk.send("RSET\r\n");
  EXPECT_EQ(talk.send(envelope + chunk("y\r\n", true)).substr(28), queued);
  EXPECT_EQ(talk.handler->finished().size(), 2u);
}

TEST(ServerBdat, IsNotMixedWithData_R47) {
  Conversation talk;
  talk.open();
  talk.send(envelope + chunk("x\r\n"));
  EXPECT_EQ(code_of(talk.send("DATA\r\n")), "503 5.5.1");
  EXPECT_EQ(code_of(talk.send("MAIL FROM:<c@x.example>\r\n")), "503 5.5.1");
  EXPECT_EQ(code_of(talk.send("RCPT TO:<c@x.example>\r\n")), "503 5.5.1");
  EXPECT_EQ(talk.send(chunk("y\r\n", true)), queued);
  EXPECT_EQ(talk.handler->finished().at(0).content, "x\r\ny\r\n");
  talk.send(binary_envelope);
  EXPECT_EQ(code_of(talk.send("DATA\r\n")), "503 5.5.1");  // RFC 3030 §3
  EXPECT_EQ(talk.send(chunk("z", true)), queued);
}

TEST(ServerBdat, ForgetsItsChunksAfterRsetAndEhlo_I21) {
  for (const std::string reset : {"RSET\r\n", "EHLO client.example\r\n"}) {
    Conversation talk;
    talk.open();
    talk.send(envelope + chunk("x\r\n"));
    talk.send(reset);
    EXPECT_EQ(talk.send(chunk("y\r\n", true)), "503 5.5.1 MAIL comes first\r\n");
    EXPECT_TRUE(talk.handler->finished().empty());
  }
}

TEST(ServerBdat, EndsWhereNobodyKnowsHowManyOctetsFollow_I21) {
  for (const std::string line :
       {"BDAT\r\n", "BDAT -1\r\n", "BDAT 1k LAST\r\n", "BDAT 9223372036854775808\r\n",
        "BDAT 18446744073709551616 LAST\r\n", "BDAT 5 FIRST\r\n", "BDAT 5\n", "BDAT\t5\r\n",
        "bdat 5 LAST\x01\r\n"}) {
    Conversation talk;
    talk.open();
    talk.send(envelope);
    EXPECT_EQ(code_of(talk.send(line + "QUIT\r\n")), "501 5.5.4") << line;
    EXPECT_TRUE(talk.over) << line;
    EXPECT_EQ(talk.handler->report->cause, "BDAT");
  }
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send("BDAT " + std::string(20000, '0') + "5\r\nQUIT\r\n"),
            "500 5.5.2 Line too long\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(ServerBdat, CountsTheWholeAgainstTheLimitOfSize_I21) {
  ServerOptions options;
  options.limits.message = 1000;
  Conversation talk(options);
  talk.open();
  const std::string half = std::string(598, 'x') + "\r\n";
  talk.send(envelope);
  EXPECT_EQ(code_of(talk.send(chunk(half))), "250 2.0.0");
  EXPECT_EQ(code_of(talk.send(chunk(half))), "552 5.3.4");
  EXPECT_EQ(code_of(talk.send(chunk("x\r\n"))), "552 5.3.4");
  EXPECT_EQ(code_of(talk.send(chunk("x\r\n", true))), "552 5.3.4");
  EXPECT_EQ(talk.send(envelope + chunk(half, true)).substr(28), queued);
  EXPECT_EQ(talk.handler->finished().size(), 1u);
  // More than can ever come: refused, and given up by the limits of time.
  talk.send(envelope);
  EXPECT_EQ(talk.send("BDAT 9223372036854775807 LAST\r\nQUIT\r\n"), "");
  EXPECT_EQ(talk.pass(std::chrono::seconds(61)), "421 4.4.2 Data comes too slowly\r\n");
}

TEST(ServerBdat, HoldsTextToTheRulesOfData_I2) {
  for (const std::string text :
       {"a\nb\r\n", "a\rb\r\n", "a\r\r\n", "\n", "x\r\n.\nQUIT\r\n", "x\r"}) {
    Conversation talk;
    talk.open();
    EXPECT_EQ(code_of(talk.send(envelope + chunk(text, true) + "NOOP\r\n").substr(28)),
              "550 5.5.2");
    EXPECT_TRUE(talk.over);
    EXPECT_TRUE(talk.handler->finished().empty());
  }
  Conversation talk;
  talk.open();
  const std::string nul("a\0b\r\n", 5);
  EXPECT_EQ(talk.send(envelope + chunk(nul, true) + "NOOP\r\n").substr(28),
            "550 5.6.0 Message holds a NUL octet\r\n250 2.0.0 Ok\r\n");
}

TEST(ServerBdat, NormalizesLoneNewlinesWhereAsked_I2) {
  ServerOptions options;
  options.bare_newline = BareNewline::normalize;
  EXPECT_EQ(stored({"a\nb\rc\r", "\nd\r\n\r"}, envelope, options), "a\r\nb\r\nc\r\nd\r\n\r\n");
}

TEST(ServerBdat, DoesNotCareWhereALineEndIsCut) {
  EXPECT_EQ(stored({"a\r", "\nb", "\r\n"}), "a\r\nb\r\n");
}

TEST(ServerBdat, KeepsBinaryContentOctetForOctet_R48) {
  std::string every;
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  const std::string content =
      "A: b\r\n\r\n" + every + "\n.\n\r.\r\r\n.\r\n" + std::string(5000, 'x');
  EXPECT_EQ(stored({content}, binary_envelope), content);
  EXPECT_EQ(stored({content.substr(0, 300), content.substr(300)}, binary_envelope), content);
  ServerOptions options;
  options.bare_newline = BareNewline::normalize;
  options.long_line = LongLine::reject;
  EXPECT_EQ(stored({content}, binary_envelope, options), content);
}

TEST(ServerBdat, DropsTheMessageOfALostConnection_I21) {
  Conversation talk;
  talk.open();
  talk.send(envelope + chunk("x\r\n") + "BDAT 100 LAST\r\nonly so much");
  talk.hang_up();
  EXPECT_TRUE(talk.over);
  EXPECT_TRUE(talk.handler->finished().empty());
}

TEST(ServerBdat, KeepsTheLimitsOfTime_I26) {
  Conversation slow;
  slow.open();
  slow.send(envelope);
  EXPECT_EQ(slow.send("BDAT 100000\r\nabc"), "");
  EXPECT_EQ(slow.pass(std::chrono::seconds(61)), "421 4.4.2 Data comes too slowly\r\n");

  Conversation idle;
  idle.open();
  idle.send(envelope + chunk("x\r\n"));
  EXPECT_EQ(idle.pass(std::chrono::seconds(301)), "421 4.4.2 Idle for too long\r\n");

  ServerOptions options;
  options.limits.message_time = std::chrono::minutes(5);
  Conversation endless(options);
  endless.open();
  endless.send(envelope);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(endless.send(chunk("x\r\n")), "250 2.0.0 3 octets received\r\n");
    EXPECT_EQ(endless.pass(std::chrono::seconds(45)), "");
  }
  endless.send("BDAT 3\r\n");
  EXPECT_EQ(endless.pass(std::chrono::seconds(31)), "421 4.4.2 Message takes too long\r\n");

  Conversation late(options);
  late.open();
  late.send(envelope);
  late.send(chunk("x\r\n"));
  late.pass(std::chrono::seconds(299));
  late.send("NOOP\r\n");
  late.pass(std::chrono::seconds(100));
  EXPECT_EQ(late.send(chunk("x\r\n", true)), "421 4.4.2 Message takes too long\r\n");
}

TEST(ServerBdat, EndsAFloodOfChunksOfNothing_I27) {
  Conversation talk;
  talk.open();
  talk.send(envelope);
  std::string said;
  for (int i = 0; i < 200 && !talk.over; ++i) said = talk.send("BDAT 0\r\n");
  EXPECT_EQ(code_of(said), "421 4.7.0");
}

TEST(ServerBdat, RepeatsTheFirstRefusalOfAMessage) {
  Conversation talk;
  talk.open();
  talk.handler->on_write = Reply{451, {4, 3, 0}, "Local storage error"};
  talk.send(envelope);
  EXPECT_EQ(code_of(talk.send(chunk(std::string(100, 'x') + "\r\n"))), "250 2.0.0");  // kept yet
  std::string line = std::string(98, 'x') + "\r\n";
  std::string many;
  for (int i = 0; i < 2000; ++i) many += line;
  EXPECT_EQ(code_of(talk.send(chunk(many))), "451 4.3.0");
  EXPECT_EQ(code_of(talk.send(chunk("x\r\n", true))), "451 4.3.0");
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_TRUE(talk.handler->finished().empty());
}

TEST(ServerBdat, GivesNoReplyWhenTheOutcomeIsUnknown) {
  Conversation talk;
  talk.open();
  talk.handler->on_finish = NoReply{};
  EXPECT_EQ(talk.send(envelope + chunk("x\r\n", true)), "");
  EXPECT_TRUE(talk.closed);
}

TEST(ServerBdat, EndsAClientThatSaidHelo) {
  Conversation talk;
  talk.start();
  talk.send("HELO client.example\r\n");
  EXPECT_EQ(code_of(talk.send(chunk("QUIT\r\n"))), "554 5.5.1");
  EXPECT_TRUE(talk.over);
}

TEST(LmtpServer, RepliesPerRecipientOnlyToTheLastChunk_R80) {
  ServerOptions options;
  options.lmtp = true;
  Conversation talk(options);
  talk.start();
  talk.send("LHLO client.example\r\n");
  talk.send(
      "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<bad@y.example>\r\n"
      "RCPT TO:<c@y.example>\r\n");
  EXPECT_EQ(talk.send(chunk("x\r\n")), "250 2.0.0 3 octets received\r\n");
  EXPECT_EQ(talk.send(chunk("y\r\n", true)), queued + queued);

  talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\n");
  const std::string nul("\0", 1);
  EXPECT_EQ(talk.send(chunk(nul)), "550 5.6.0 Message holds a NUL octet\r\n");
  EXPECT_EQ(talk.send(chunk("", true)),
            "550 5.6.0 Message holds a NUL octet\r\n550 5.6.0 Message holds a NUL octet\r\n");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(talk.send(chunk("x", true)), "503 5.5.1 No valid recipients\r\n");
}

}  // namespace
}  // namespace mansio::smtp
