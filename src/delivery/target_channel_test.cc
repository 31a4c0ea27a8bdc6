// The channel over a target, the target contract itself, and the channel to nowhere.
#include "delivery/target_channel.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "delivery/channel_test_kit.h"
#include "delivery/discard_channel.h"
#include "testing/scripted_target.h"

namespace mansio::delivery {
namespace {

const std::vector<std::string> kThree = {"a@b.example", "b@b.example", "c@b.example"};

struct TargetKit {
  std::vector<Disposition> deliver(fake::ScriptedAttempt attempt) {
    target->add(std::move(attempt));
    lane.waiting.push_back(TestMessage{.recipients = kThree}.work());
    fake::run(context, clock, channel.run(SessionRequest{}, lane));
    return lane.done.back().dispositions;
  }

  boost::asio::io_context context;
  fake::VirtualClock clock;
  TestLane lane;
  std::shared_ptr<fake::ScriptedTarget> target = std::make_shared<fake::ScriptedTarget>();
  TargetChannel channel{target, "scripted"};
};

TEST(TargetChannel, DeliversByTheContract) {
  TargetKit kit;
  const auto dispositions = kit.deliver({});
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[2].outcome, Outcome::delivered);
  const auto deliveries = kit.target->deliveries();
  EXPECT_EQ(deliveries[0].accepted, kThree);
  EXPECT_TRUE(deliveries[0].committed);
  EXPECT_EQ(deliveries[0].content, "Subject: x\r\n\r\nhello\r\n");
  EXPECT_EQ(kit.lane.done[0].dots, 1);
  EXPECT_EQ(kit.target->times_delivered("b@b.example"), 1u);
}

TEST(TargetChannel, AFailedStartIsEverybodys) {
  TargetKit kit;
  fake::ScriptedAttempt attempt;
  attempt.start = fake::refuse(451, "4.3.2", "busy");
  const auto dispositions = kit.deliver(attempt);
  for (const Disposition& disposition : dispositions) {
    EXPECT_EQ(disposition.outcome, Outcome::deferred);
  }
  EXPECT_EQ(kit.lane.done[0].dots, 0);
}

TEST(TargetChannel, ARefusedRecipientLeavesTheOthersAndNoneLeftAborts) {
  TargetKit kit;
  fake::ScriptedAttempt attempt;
  attempt.recipients["b@b.example"] = fake::refuse(550, "5.1.1", "no");
  auto dispositions = kit.deliver(attempt);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[1].outcome, Outcome::failed);
  for (const std::string& address : kThree) {
    attempt.recipients[address] = fake::refuse(550, "5.1.1", "no");
  }
  dispositions = kit.deliver(attempt);
  const fake::RecordedDelivery last = kit.target->deliveries().back();
  EXPECT_FALSE(last.body_sent);
  EXPECT_TRUE(last.aborted);
}

TEST(TargetChannel, ABodyOrCommitFailureIsThatOfAllAccepted) {
  TargetKit kit;
  fake::ScriptedAttempt body;
  body.body = fake::refuse(554, "5.6.0", "no");
  auto dispositions = kit.deliver(body);
  EXPECT_EQ(dispositions[2].outcome, Outcome::failed);
  EXPECT_TRUE(kit.target->deliveries().back().aborted);
  fake::ScriptedAttempt commit;
  commit.commit = fake::refuse(451, "4.3.0", "later");
  commit.recipients["a@b.example"] = fake::refuse(550, "5.1.1", "no");
  dispositions = kit.deliver(commit);
  EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[1].outcome, Outcome::deferred);
}

TEST(TargetChannel, AMissingStatusIsADeferralAndACountedFault) {
  TargetKit kit;
  fake::ScriptedAttempt attempt;
  attempt.statuses = std::vector<Disposition>{fake::accept(), fake::refuse(550, "5.2.2", "full")};
  const auto dispositions = kit.deliver(attempt);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[1].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[2].outcome, Outcome::deferred);
  EXPECT_EQ(dispositions[2].cause, Cause::missing);
  EXPECT_FALSE(dispositions[2].counts_as_try);
  EXPECT_EQ(kit.channel.faults(), 1u);
}

TEST(TargetChannel, AnExceptionIsADeferral) {
  TargetKit kit;
  fake::ScriptedAttempt attempt;
  attempt.throws = "boom";
  auto dispositions = kit.deliver(attempt);
  EXPECT_EQ(dispositions[0].outcome, Outcome::deferred);
  EXPECT_FALSE(dispositions[0].counts_as_try);
  EXPECT_FALSE(dispositions[0].in_doubt);
  fake::ScriptedAttempt late;
  late.before_body_answer = []() -> Task<void> {
    throw std::runtime_error("late");
    co_return;
  };
  dispositions = kit.deliver(late);
  EXPECT_TRUE(dispositions[0].in_doubt);
  EXPECT_EQ(kit.channel.faults(), 2u);
}

TEST(DiscardChannel, DeliversEverythingAtOnce) {
  boost::asio::io_context context;
  TestLane lane;
  lane.waiting.push_back(TestMessage{.recipients = kThree}.work());
  lane.waiting.push_back(TestMessage{}.work());
  DiscardChannel channel;
  const SessionReport report = fake::run(context, channel.run(SessionRequest{}, lane));
  EXPECT_EQ(report.messages, 2u);
  ASSERT_EQ(lane.done.size(), 2u);
  EXPECT_EQ(lane.done[0].dispositions.size(), 3u);
  EXPECT_EQ(lane.done[0].dispositions[0].reply.to_string(), "250 2.0.0 discarded");
}

}  // namespace
}  // namespace mansio::delivery
