// Return paths of our own, seen from the peer.
#include <gtest/gtest.h>

#include "delivery/channel_test_kit.h"

namespace mansio::delivery {
namespace {

ReturnPaths verp() {
  ReturnPaths paths;
  paths.reverse_path = [](const QueueId&, std::uint32_t recipient) {
    return Address{"b+" + std::to_string(recipient), "back.example"};
  };
  return paths;
}

TestMessage three(const std::string& sender = "s@a.example") {
  TestMessage message;
  message.sender = sender;
  message.recipients = {"a@b.example", "b@b.example", "c@b.example"};
  return message;
}

TEST(SmtpReturnPaths, EachRecipientHasATransactionOfItsOwn) {
  ChannelKit kit;
  kit.return_paths = verp();
  kit.primary->on("RCPT TO:<b@b.example>", "550 5.1.1 no\r\n");
  const std::vector<Disposition> dispositions = kit.deliver(three());
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[1].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[2].outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  EXPECT_EQ(kit.primary->count("MAIL"), 3u);
  for (const char* path : {"b+0@", "b+1@", "b+2@"}) {
    EXPECT_EQ(kit.primary->count(std::string("MAIL FROM:<") + path + "back.example>"), 1u);
  }
  EXPECT_EQ(kit.primary->count("RCPT TO:<c@b.example>"), 1u);
}

TEST(SmtpReturnPaths, MailWithoutASenderKeepsTheNullPathInOneTransaction_R36) {
  ChannelKit kit;
  kit.return_paths = verp();
  EXPECT_EQ(kit.deliver(three("")).size(), 3u);
  EXPECT_EQ(kit.primary->count("MAIL FROM:<>"), 1u);
  EXPECT_EQ(kit.primary->count("MAIL"), 1u);
}

TEST(SmtpReturnPaths, AnEnvidGoesToPeersWithDsnOnly) {
  ReturnPaths paths;
  paths.envelope_id = [](const QueueId&, std::optional<std::uint32_t> recipient) {
    return recipient ? std::string("one") : std::string("all");
  };
  ChannelKit with;
  with.return_paths = paths;
  with.deliver(three());
  EXPECT_EQ(with.primary->count("MAIL FROM:<s@a.example> SIZE=21 ENVID=all"), 1u);
  ChannelKit without;
  without.return_paths = paths;
  without.primary->set_extensions({"PIPELINING"});
  without.deliver(three());
  EXPECT_EQ(without.primary->connections()[0].lines[1], "MAIL FROM:<s@a.example>");
}

}  // namespace
}  // namespace mansio::delivery
