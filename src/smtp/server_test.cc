// The dialogue: commands, states, extensions, TLS and LMTP. Bad input and limits:
// server_limits_test.
#include "smtp/server.h"

#include <gtest/gtest.h>

#include "smtp/server_conversation.h"

namespace mansio::smtp {
namespace {

using test::Conversation;

constexpr std::string_view transaction =
    "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n";
const std::string go_ahead = "354 End data with <CR><LF>.<CR><LF>\r\n";
const std::string transaction_replies = "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" + go_ahead;
const std::string queued = "250 2.0.0 Ok: queued as ID\r\n";

TEST(Server, TakesAMessageFromGreetingToQuit) {
  Conversation talk;
  EXPECT_EQ(talk.start(), "220 mx.example ESMTP Mansio\r\n");
  EXPECT_EQ(talk.send("EHLO client.example\r\n"),
            "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-ENHANCEDSTATUSCODES\r\n"
            "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 DSN\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example> SIZE=20 BODY=8BITMIME RET=FULL ENVID=e1\r\n"),
            "250 2.1.0 Ok\r\n");
  EXPECT_EQ(talk.send("RCPT TO:<b@y.example> NOTIFY=NEVER\r\n"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(talk.send("DATA\r\n"), go_ahead);
  EXPECT_EQ(talk.send("Subject: x\r\n\r\n..dot\r\n.\r\n"), queued);
  EXPECT_EQ(talk.send("QUIT\r\n"), "221 2.0.0 Bye\r\n");
  EXPECT_TRUE(talk.over);
  EXPECT_TRUE(talk.closed);
  ASSERT_EQ(talk.handler->messages.size(), 1u);
  const auto& message = talk.handler->messages[0];
  EXPECT_TRUE(message.finished);
  EXPECT_EQ(message.content, "Subject: x\r\n\r\n.dot\r\n");
  EXPECT_EQ(message.envelope.reverse_path.to_string(), "a@x.example");
  EXPECT_EQ(message.envelope.body, BodyType::eight_bit_mime);
  EXPECT_EQ(message.envelope.dsn_return, DsnReturn::full);
  EXPECT_EQ(message.envelope.envelope_id, "e1");
  ASSERT_EQ(message.envelope.recipients.size(), 1u);
  EXPECT_TRUE(message.envelope.recipients[0].notify.never);
  EXPECT_EQ(message.envelope.origin.protocol, "ESMTP");
  EXPECT_EQ(message.envelope.origin.client_name, "client.example");
  EXPECT_EQ(message.envelope.origin.client_address, "192.0.2.1");
  EXPECT_EQ(talk.handler->sizes.at(0), 20u);
  ASSERT_TRUE(talk.handler->report);
  EXPECT_EQ(talk.handler->report->cause, "quit");
  EXPECT_EQ(talk.handler->report->messages, 1u);
}

TEST(Server, GivesHeloNoExtensions) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(talk.send("HELO client.example\r\n"), "250 mx.example\r\n");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  talk.send("RCPT TO:<b@y.example>\r\n");
  EXPECT_EQ(talk.send("DATA\r\n"), go_ahead);
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).envelope.origin.protocol, "SMTP");
}

TEST(Server, AnswersPipelinedCommandsInOrder) {
  Conversation talk;
  talk.open();
  EXPECT_EQ(talk.send(std::string(transaction)), transaction_replies);
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
}

TEST(Server, AnswersCommandsPipelinedAfterTheFinalDot) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  EXPECT_EQ(talk.send("one\r\n.\r\n" + std::string(transaction)), queued + transaction_replies);
  EXPECT_EQ(talk.send("two\r\n.\r\nQUIT\r\n"), queued + "221 2.0.0 Bye\r\n");
  ASSERT_EQ(talk.handler->finished().size(), 2u);
  EXPECT_EQ(talk.handler->messages[1].content, "two\r\n");
}

TEST(Server, WorksWhateverTheChunksAre) {
  for (std::size_t chunk : {1u, 2u, 3u, 7u, 50u}) {
    Conversation talk({}, {}, chunk);
    talk.open();
    // One octet at a time, what stands behind DATA is not there yet when 354 goes out.
    talk.send(std::string(transaction));
    EXPECT_EQ(talk.send("..a\r\n.\r\nNOOP\r\n"), queued + "250 2.0.0 Ok\r\n") << chunk;
    EXPECT_EQ(talk.handler->messages.at(0).content, ".a\r\n");
  }
}

TEST(Server, RepliesToOtherCommandsAtAnyTime) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(talk.send("NOOP\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(talk.send("RSET\r\n"), "250 2.0.0 Ok\r\n");
  EXPECT_EQ(talk.send("HELP\r\n"), "214 2.0.0 See RFC 5321\r\n");
  EXPECT_EQ(talk.send("VRFY postmaster\r\n"), "252 2.5.0 Cannot verify, will accept mail\r\n");
  EXPECT_EQ(talk.send("EXPN list\r\n").substr(0, 9), "502 5.5.1");
  EXPECT_EQ(talk.send("AUTH PLAIN AGEAYg==\r\n").substr(0, 9), "502 5.5.1");
  EXPECT_EQ(talk.send("FROB\r\n").substr(0, 9), "500 5.5.1");
  EXPECT_EQ(talk.send("STARTTLS\r\n").substr(0, 9), "502 5.5.1");
  EXPECT_EQ(talk.send("EHLO\r\n").substr(0, 5), "501 A");
  EXPECT_EQ(talk.send("LHLO client.example\r\n").substr(0, 5), "500 S");
  EXPECT_FALSE(talk.over);
}

TEST(Server, KeepsItsStateAfterCommandsOutOfOrder_I22) {
  Conversation talk;
  talk.start();
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n").substr(0, 9), "503 5.5.1");
  talk.send("EHLO client.example\r\n");
  EXPECT_EQ(talk.send("RCPT TO:<b@y.example>\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(talk.send("DATA\r\n").substr(0, 9), "503 5.5.1");
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<c@x.example>\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(talk.send("DATA\r\n").substr(0, 9), "554 5.5.1");
  EXPECT_EQ(talk.send("RCPT TO:<bad@y.example>\r\nDATA\r\n"),
            "550 5.1.1 No such user\r\n554 5.5.1 No valid recipients\r\n");
  EXPECT_EQ(talk.send("RCPT TO:<b@y.example>\r\n"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(talk.send("DATA now\r\n").substr(0, 9), "501 5.5.4");
  EXPECT_EQ(talk.send("DATA\r\n"), go_ahead);
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
  EXPECT_EQ(talk.handler->messages.at(0).envelope.reverse_path.to_string(), "a@x.example");
}

TEST(Server, ForgetsTheTransactionAfterRsetAndEhlo_I22) {
  for (std::string_view reset : {"RSET\r\n", "EHLO client.example\r\n"}) {
    Conversation talk;
    talk.open();
    talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n");
    talk.send(std::string(reset));
    EXPECT_EQ(talk.send("DATA\r\n").substr(0, 9), "503 5.5.1");
    EXPECT_EQ(talk.send("MAIL FROM:<c@x.example>\r\n"), "250 2.1.0 Ok\r\n");
  }
}

TEST(Server, SaysWhatTheHandlerDecides) {
  Conversation refused;
  refused.handler->on_connect = {421, {4, 3, 2}, "Too many connections"};
  EXPECT_EQ(refused.start(), "421 4.3.2 Too many connections\r\n");
  EXPECT_TRUE(refused.over);

  Conversation talk;
  talk.open();
  talk.handler->on_mail = {452, {4, 3, 1}, "No room"};
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"),
            "452 4.3.1 No room\r\n503 5.5.1 MAIL comes first\r\n");
  talk.handler->on_mail = {250, {2, 1, 0}, "Ok"};
  talk.handler->on_data = Reply{451, {4, 3, 0}, "Not now"};
  EXPECT_EQ(talk.send(std::string(transaction)),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n451 4.3.0 Not now\r\n");
  talk.handler->on_mail = {421, {4, 3, 0}, "Storage failed"};
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n"), "421 4.3.0 Storage failed\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(Server, NeverLetsAReplyTextStartALine) {
  Conversation talk;
  talk.open();
  talk.handler->on_mail = {450, {4, 7, 1}, "first\nsec\rond\x1b[0m"};
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n"),
            "450-4.7.1 first\r\n450 4.7.1 sec?ond?[0m\r\n");
}

TEST(Server, ReadsToTheEndAfterARefusalOfTheReceiver) {
  Conversation talk;
  talk.open();
  talk.handler->on_write = Reply{554, {5, 4, 6}, "Too many hops"};
  talk.send(std::string(transaction));
  EXPECT_EQ(talk.send(std::string(200000, 'x')), "");
  EXPECT_EQ(talk.send("\r\n.\r\nNOOP\r\n"), "554 5.4.6 Too many hops\r\n250 2.0.0 Ok\r\n");
  EXPECT_FALSE(talk.handler->messages.at(0).finished);
  EXPECT_EQ(talk.handler->messages[0].pieces.size(), 1u);
}

TEST(Server, PassesContentOnInLargePieces) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  std::string line(98, 'x');
  line += "\r\n";
  std::string content;
  for (int i = 0; i < 10000; ++i) content += line;
  EXPECT_EQ(talk.send(content + ".\r\n"), queued);
  const auto& message = talk.handler->messages.at(0);
  EXPECT_EQ(message.content, content);
  EXPECT_LE(message.pieces.size(), 16u);
  for (std::size_t piece : message.pieces) EXPECT_LE(piece, 128u * 1024);
}

TEST(Server, ClosesWithoutAReplyWhenTheOutcomeIsUnknown) {
  Conversation talk;
  talk.open();
  talk.handler->on_finish = NoReply{};
  talk.send(std::string(transaction));
  EXPECT_EQ(talk.send("x\r\n.\r\n"), "");
  EXPECT_TRUE(talk.closed);
  EXPECT_EQ(talk.handler->report->cause, "outcome unknown");
}

TEST(Server, DropsTheTransactionOfALostConnection) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  talk.send("half of a mess");
  talk.hang_up();
  EXPECT_TRUE(talk.over);
  EXPECT_TRUE(talk.handler->finished().empty());
}

TEST(Server, RefusesCommandsWhileStopping) {
  Conversation talk;
  talk.open();
  talk.send(std::string(transaction));
  talk.handler->stop = true;
  talk.handler->wake();
  // A message under way may end.
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued + "421 4.3.2 Service is shutting down\r\n");
  EXPECT_TRUE(talk.over);
}

TEST(Server, WakesAnIdleClientToStop) {
  Conversation talk;
  talk.open();
  talk.handler->stop = true;
  talk.handler->wake();
  EXPECT_EQ(talk.said(), "421 4.3.2 Service is shutting down\r\n");
  EXPECT_TRUE(talk.over);
  EXPECT_EQ(talk.handler->report->cause, "shutdown");
}

// ---- TLS ----------------------------------------------------------------------------------------

class ServerTls : public ::testing::Test {
 protected:
  ServerOptions offering() {
    ServerOptions options;
    options.tls = &context_;
    return options;
  }

  fake::MemoryTlsContext context_;
};

TEST_F(ServerTls, StartsAfreshAfterStarttls) {
  Conversation talk(offering());
  talk.start();
  EXPECT_NE(talk.send("EHLO plain.example\r\n").find("250-STARTTLS\r\n"), std::string::npos);
  talk.send("MAIL FROM:<a@x.example>\r\n");
  EXPECT_EQ(talk.send("STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
  talk.start_tls();
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(talk.send("EHLO tls.example\r\n").find("STARTTLS"), std::string::npos);
  EXPECT_EQ(talk.send("STARTTLS\r\n").substr(0, 9), "503 5.5.1");
  EXPECT_EQ(talk.send(std::string(transaction)), transaction_replies);
  EXPECT_EQ(talk.send("x\r\n.\r\n"), queued);
  const auto& origin = talk.handler->messages.at(0).envelope.origin;
  EXPECT_EQ(origin.protocol, "ESMTPS");
  EXPECT_EQ(origin.client_name, "tls.example");
  EXPECT_EQ(origin.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
}

TEST_F(ServerTls, RefusesWhatIsPipelinedPastStarttls_I3) {
  Conversation talk(offering());
  talk.open();
  EXPECT_EQ(talk.send("STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n"),
            "554 5.5.1 Improper command pipelining\r\n");
  EXPECT_TRUE(talk.over);
}

TEST_F(ServerTls, RefusesWhatFollowsStarttlsInALaterSegment_I3) {
  // One octet per read: the rest waits unread in the stream, not in the server's buffer.
  Conversation talk(offering(), {}, 1);
  talk.open();
  EXPECT_EQ(talk.send("STARTTLS\r\nNOOP\r\n"), "554 5.5.1 Improper command pipelining\r\n");
  EXPECT_TRUE(talk.over);
}

TEST_F(ServerTls, EndsAHandshakeThatTakesTooLong_I26) {
  Conversation talk(offering());
  talk.open();
  talk.send("STARTTLS\r\n");
  EXPECT_EQ(talk.pass(std::chrono::seconds(29)), "");
  EXPECT_FALSE(talk.over);
  talk.pass(std::chrono::seconds(2));
  EXPECT_TRUE(talk.over);
  EXPECT_EQ(talk.handler->report->cause, "TLS handshake failed");
}

TEST_F(ServerTls, TakesParametersOfStarttlsForAnError) {
  Conversation talk(offering());
  talk.open();
  EXPECT_EQ(talk.send("STARTTLS now\r\n").substr(0, 9), "501 5.5.4");
}

TEST_F(ServerTls, ShakesHandsBeforeTheGreetingWhereTlsIsImplicit) {
  ServerOptions options = offering();
  options.tls_implicit = true;
  fake::VirtualClock clock;
  boost::asio::io_context context;
  fake::MemoryStreamOptions stream_options;
  stream_options.clock = &clock;
  auto pair = fake::make_stream_pair(context.get_executor(), stream_options);
  auto handler = std::make_shared<test::RecordingHandler>();
  options.hostname = "mx.example";
  boost::asio::co_spawn(context, serve(std::move(pair.second), options, handler, clock),
                        boost::asio::detached);
  fake::run_until_idle(context);
  std::string heard;
  auto client = [&]() -> Task<void> {
    const auto agreed = co_await pair.first->start_tls(context_, false, std::string("mx.example"));
    EXPECT_TRUE(agreed.has_value());
    std::vector<char> buffer(1000);
    const std::span<char> room(buffer);
    const auto read = co_await pair.first->read_some(room);
    if (read) heard.assign(buffer.data(), *read);
  };
  boost::asio::co_spawn(context, client(), boost::asio::detached);
  fake::run_until_idle(context);
  EXPECT_EQ(heard, "220 mx.example ESMTP Mansio\r\n");
  pair.first->close();
  fake::run_until_idle(context);
}

// ---- LMTP ---------------------------------------------------------------------------------------

ServerOptions lmtp() {
  ServerOptions options;
  options.lmtp = true;
  return options;
}

TEST(LmtpServer, WantsLhlo) {
  Conversation talk(lmtp());
  EXPECT_EQ(talk.start(), "220 mx.example LMTP Mansio\r\n");
  EXPECT_EQ(talk.send("EHLO client.example\r\n").substr(0, 4), "500 ");
  EXPECT_EQ(talk.send("HELO client.example\r\n").substr(0, 4), "500 ");
  const std::string capabilities = talk.send("LHLO client.example\r\n");
  EXPECT_NE(capabilities.find("250-PIPELINING\r\n"), std::string::npos);
  EXPECT_NE(capabilities.find("250-ENHANCEDSTATUSCODES\r\n"), std::string::npos);
}

TEST(LmtpServer, RepliesOncePerAcceptedRecipient) {
  Conversation talk(lmtp());
  talk.start();
  talk.send("LHLO client.example\r\n");
  talk.handler->on_finish =
      std::vector<Reply>{{250, {2, 0, 0}, "Ok: one"}, {452, {4, 3, 1}, "Ok: not two"}};
  EXPECT_EQ(
      talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
                "RCPT TO:<bad@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n"),
      "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 No such user\r\n250 2.1.5 Ok\r\n" + go_ahead);
  EXPECT_EQ(talk.send("x\r\n.\r\n"), "250 2.0.0 Ok: one\r\n452 4.3.1 Ok: not two\r\n");
  EXPECT_EQ(talk.handler->messages.at(0).envelope.origin.protocol, "LMTP");
}

TEST(LmtpServer, RefusesContentOncePerRecipient_I1) {
  Conversation talk(lmtp());
  talk.start();
  talk.send("LHLO client.example\r\n");
  talk.send(
      "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nRCPT TO:<c@y.example>\r\nDATA\r\n");
  const std::string refusal = "550 5.5.2 Lines must end with CR LF; a CR or LF stood alone\r\n";
  EXPECT_EQ(talk.send("a\nb\r\n.\r\n"), refusal + refusal);
  EXPECT_TRUE(talk.over);
}

TEST(LmtpServer, AnswersDataWithoutRecipientsAsRfc2033Says) {
  Conversation talk(lmtp());
  talk.start();
  talk.send("LHLO client.example\r\n");
  EXPECT_EQ(talk.send("MAIL FROM:<a@x.example>\r\nRCPT TO:<bad@y.example>\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n550 5.1.1 No such user\r\n503 5.5.1 No valid recipients\r\n");
}

}  // namespace
}  // namespace mansio::smtp
