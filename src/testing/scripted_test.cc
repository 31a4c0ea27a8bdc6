#include <gtest/gtest.h>

#include "testing/memory_network.h"
#include "testing/run.h"
#include "testing/scripted_client.h"
#include "testing/scripted_server.h"

namespace mansio::fake {
namespace {

using namespace std::chrono_literals;

/// The scripted client talks to the scripted server.
struct ScriptedTest : ::testing::Test {
  boost::asio::io_context context;
  VirtualClock clock;
  MemoryNetwork network{clock};
  const Endpoint mx{"192.0.2.25", 25};

  ScriptedServer serve(bool lmtp = false) {
    return ScriptedServer(context.get_executor(), clock, network.listen(context.get_executor(), mx),
                          lmtp);
  }

  ScriptedClient connect() {
    auto stream = run(context, clock, network.connect(mx, "", SteadyTime::max()));
    return ScriptedClient(std::move(stream.value()));
  }

  Task<std::string> send_mail(ScriptedClient& client, std::string hello) {
    co_await client.expect("220");
    co_await client.command(hello, "250");
    co_await client.command("MAIL FROM:<a@example.com>", "250");
    co_await client.command("RCPT TO:<good@example.org>", "250");
    co_await client.command("RCPT TO:<other@example.org>");
    co_await client.command("DATA", "354");
    co_await client.send("Subject: x\r\n\r\n..dot\r\n.\r\n");
    co_return co_await client.reply();
  }
};

TEST_F(ScriptedTest, AcceptsByDefaultAndRecords) {
  auto server = serve();
  network.set_read_chunk(1);
  auto client = connect();
  EXPECT_EQ(run(context, clock, send_mail(client, "EHLO me")), "250 2.0.0 Ok: queued as 12345\r\n");
  ASSERT_EQ(server.deliveries().size(), 1u);
  EXPECT_EQ(server.deliveries()[0].content, "Subject: x\r\n\r\n.dot\r\n");
  EXPECT_EQ(server.deliveries()[0].recipients.size(), 2u);
  EXPECT_EQ(server.count("RCPT"), 2u);
  EXPECT_EQ(run(context, clock, client.command("QUIT")), "221 2.0.0 Bye\r\n");
  run(context, clock, client.expect_end());
  EXPECT_EQ(server.open(), 0u);
  EXPECT_TRUE(server.connections()[0].ended);
}

TEST_F(ScriptedTest, RulesAnswerInstead) {
  auto server = serve();
  server.on("RCPT TO:<other", "550 5.1.1 no\r\n");
  server.on(".", Reaction("451 4.3.0 later\r\n").once().after(5min));
  auto client = connect();
  const auto start = clock.now();
  EXPECT_EQ(run(context, clock, send_mail(client, "EHLO me")), "451 4.3.0 later\r\n");
  EXPECT_EQ(clock.now(), start + 5min);
  EXPECT_EQ(server.deliveries()[0].recipients.size(), 1u);
}

TEST_F(ScriptedTest, LmtpAnswersPerRecipient) {
  auto server = serve(true);
  server.on(". other@example.org", "552 5.2.2 full\r\n");
  auto client = connect();
  EXPECT_TRUE(run(context, clock, send_mail(client, "LHLO me")).starts_with("250"));
  EXPECT_EQ(run(context, clock, client.reply()), "552 5.2.2 full\r\n");
}

TEST_F(ScriptedTest, AScriptSeesAClientThatLeavesIt) {
  auto server = serve();
  server.follow(Script().send("220 mx\r\n").expect("EHLO").send("250 mx\r\n").expect("QUIT"));
  auto client = connect();
  run(context, clock, client.expect("220"));
  run(context, clock, client.command("EHLO x", "250"));
  EXPECT_THROW(run(context, clock, client.command("NOOP")), ScriptError);
  EXPECT_EQ(server.connections()[0].problem, "expected QUIT, got NOOP");
}

TEST_F(ScriptedTest, StartTlsOnMemoryStreams) {
  auto server = serve();
  server.set_extensions({"STARTTLS"});
  auto client = connect();
  MemoryTlsContext tls;
  run(context, clock, client.expect("220"));
  run(context, clock, client.command("STARTTLS", "220"));
  EXPECT_EQ(run(context, clock, client.start_tls(tls, "mx")).version, "TLSv1.3");
  run(context, clock, client.command("EHLO x", "250-mx.example\r\n250 STARTTLS"));
  EXPECT_TRUE(server.connections()[0].tls);
}

TEST_F(ScriptedTest, AStalledServerHoldsTheClientUntilItsDeadline) {
  auto server = serve();
  server.on("connect", Reaction("", Reaction::Then::stall));
  auto client = connect();
  client.stream().set_deadline(clock.steady_now() + 5min);
  const auto start = clock.now();
  EXPECT_THROW(run(context, clock, client.reply()), ScriptError);
  EXPECT_EQ(clock.now(), start + 5min);
}

}  // namespace
}  // namespace mansio::fake
