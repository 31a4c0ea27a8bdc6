// Suspending, resuming and draining, over the real queue.
#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using namespace std::chrono_literals;
using fake::refuse;
using spool::Status;
using spool::Verb;

class SuspensionTest : public testing::TestWithParam<Backend> {
 protected:
  SuspensionTest() : world_({GetParam(), retry(), 1}) {}

  static settings::Retry retry() {
    settings::Retry retry = immediate_retries(0);
    retry.min = retry.max = 1h;
    retry.lifetime = 24h;
    return retry;
  }

  Time now() { return world_.clock().now(); }

  Status suspend(const std::string& destination, Time until = {}, const std::string& binding = "") {
    spool::Suspension suspension;
    suspension.destination = destination;
    suspension.binding = binding;
    suspension.until = until;
    suspension.reason = "too many complaints";
    suspension.actor = "operator test";
    return world_.wait(world_.queue().suspend(std::move(suspension)));
  }

  Status resume(const std::string& destination, const std::string& binding = "") {
    return world_.wait(world_.queue().resume(destination, binding, "operator test"));
  }

  QueueId submit(const std::string& recipient) {
    const QueueId id = world_.submit("s@sender.test", {recipient}).id;
    world_.settle();
    return id;
  }

  Wait why(const QueueId& id) {
    const auto waits = world_.wait(world_.queue().why(id));
    return waits && !waits->empty() ? waits->front() : Wait{};
  }

  std::vector<QueueId> suspended() {
    QueueSelector selector;
    selector.state = LivingState::suspended;
    const auto page = world_.wait(world_.queue().list(selector, "", 100));
    std::vector<QueueId> ids;
    for (const ListedMessage& listed : page->messages) ids.push_back(listed.message->message.id);
    return ids;
  }

  std::size_t delivered(const std::string& recipient) {
    return world_.target().times_delivered(recipient);
  }

  World world_;
};

TEST_P(SuspensionTest, ASuspendedDestinationWaitsThroughRetryReloadAndRestart) {
  ASSERT_EQ(suspend("X.Example"), Status::committed);
  const QueueId id = submit("a@x.example");
  submit("b@y.example");
  EXPECT_EQ(delivered("b@y.example"), 1u);
  EXPECT_EQ(delivered("a@x.example"), 0u);
  const Wait wait = why(id);
  EXPECT_EQ(wait.reason, "suspended");
  EXPECT_EQ(wait.setting, "");
  EXPECT_EQ(wait.detail, "operator test: too many complaints");
  EXPECT_EQ(wait.since, world_.queue().suspensions().at(0).since);
  EXPECT_FALSE(wait.next_attempt);
  EXPECT_EQ(suspended(), std::vector<QueueId>{id});

  QueueSelector selector;
  selector.stored.ids = {id};
  EXPECT_EQ(world_.wait(world_.queue().apply(Verb::make_due, selector, "", "test", false)).changed,
            1u);
  world_.pass(1min);
  EXPECT_EQ(delivered("a@x.example"), 0u) << "a retry does not break it";
  world_.reload();
  world_.pass(1min);
  EXPECT_EQ(delivered("a@x.example"), 0u) << "nor do new settings";
  world_.restart();
  world_.pass(10h);
  EXPECT_EQ(delivered("a@x.example"), 0u) << "nor does a restart";
  EXPECT_EQ(suspended(), std::vector<QueueId>{id});
  ASSERT_EQ(world_.queue().suspensions().size(), 1u);
  EXPECT_EQ(world_.queue().suspensions()[0].destination, "x.example");

  EXPECT_EQ(resume("y.example"), Status::missing);
  EXPECT_EQ(resume("x.EXAMPLE"), Status::committed);
  world_.settle();
  EXPECT_EQ(delivered("a@x.example"), 1u);
  EXPECT_EQ(resume("x.example"), Status::missing);
}

/// Where a moment counts: while the file spool works, virtual time may pass.
class TimedSuspensionTest : public SuspensionTest {};

TEST_P(TimedSuspensionTest, ASuspensionWithATimeEndsExactlyThenAndIsForgotten) {
  EXPECT_EQ(suspend("x.example", now() - 1s), Status::refused);
  EXPECT_EQ(suspend("no pattern"), Status::refused);
  const Time until = now() + 30min;
  ASSERT_EQ(suspend("x.example", until), Status::committed);
  const QueueId id = submit("a@x.example");
  EXPECT_EQ(why(id).next_attempt, until);
  world_.pass(until - now() - 1us);
  EXPECT_EQ(delivered("a@x.example"), 0u);
  world_.pass(1us);
  EXPECT_EQ(delivered("a@x.example"), 1u);
  EXPECT_TRUE(world_.queue().suspensions().empty());
  world_.run_until([this] { return world_.spool().suspensions().empty(); }, 1min);
  EXPECT_TRUE(world_.spool().suspensions().empty());
}

TEST_P(SuspensionTest, OneThatEndedWhileTheServerWasDownIsForgottenAtItsStart) {
  ASSERT_EQ(suspend("x.example", now() + 1min), Status::committed);
  const QueueId id = submit("a@x.example");
  world_.stop();
  world_.clock().advance(2min);
  world_.start();
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(delivered("a@x.example"), 1u);
  world_.run_until([this] { return world_.spool().suspensions().empty(); }, 1min);
  EXPECT_TRUE(world_.spool().suspensions().empty());
  EXPECT_EQ(world_.history(id).back().kind, spool::EventKind::delivered);
}

TEST_P(TimedSuspensionTest, AReplacedSuspensionIsNotTakenAwayWithTheOldOne) {
  ASSERT_EQ(suspend("x.example", now() + 1min), Status::committed);
  ASSERT_EQ(suspend("x.example", now() + 10min), Status::committed);
  submit("a@x.example");
  world_.pass(9min);
  EXPECT_EQ(delivered("a@x.example"), 0u);
  EXPECT_EQ(world_.queue().suspensions().size(), 1u);
  world_.pass(1min);
  EXPECT_EQ(delivered("a@x.example"), 1u);
}

TEST_P(TimedSuspensionTest, TheTransactionUnderWayEndsAndItsSessionGetsNothingMore) {
  mansio::Event go(world_.context().get_executor());
  bool open = false;
  fake::ScriptedAttempt attempt;
  attempt.before_body_answer = [&go, &open]() -> Task<void> {
    while (!open) co_await go.wait();
  };
  world_.target().add(attempt);
  submit("a@x.example");
  submit("b@x.example");
  const std::size_t before = delivered("b@x.example");
  ASSERT_EQ(suspend("x.example"), Status::committed);
  open = true;
  go.notify_all();
  submit("c@x.example");
  world_.pass(10min);
  EXPECT_EQ(delivered("a@x.example"), 1u);
  EXPECT_EQ(delivered("b@x.example"), before);
  EXPECT_EQ(delivered("c@x.example"), 0u);
  resume("x.example");
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(world_.totals().delivered, 3u);
}

TEST_P(TimedSuspensionTest, LifetimesEndThereAndSendersAreTold) {
  ASSERT_EQ(suspend("*.example"), Status::committed);
  for (int i = 0; i < 120; ++i) submit("user" + std::to_string(i) + "@x.example");
  world_.pass(23h);
  EXPECT_EQ(world_.totals().expired, 0u);
  world_.pass(2h);
  EXPECT_EQ(world_.totals().expired, 120u) << "more than a stopped lane keeps in memory";
  EXPECT_EQ(delivered("s@sender.test"), 240u) << "of the delay, and of the end";
}

TEST_P(TimedSuspensionTest, AllMailIsStoppedByAStarAndTheMostSpecificIsShown) {
  ASSERT_EQ(suspend("*", now() + 1h), Status::committed);
  ASSERT_EQ(suspend("*.example", now() + 2h), Status::committed);
  ASSERT_EQ(suspend("x.example", now() + 10min, "another"), Status::committed);
  const QueueId x = submit("a@x.example");
  const QueueId other = submit("a@other.test");
  EXPECT_EQ(world_.target().size(), 0u);
  const auto lanes = world_.wait(world_.queue().lanes());
  ASSERT_EQ(lanes.size(), 2u);
  for (const LaneStatus& lane : lanes) {
    ASSERT_TRUE(lane.suspension);
    const bool is_x = lane.lane.destination == "x.example";
    EXPECT_EQ(lane.suspension->destination, is_x ? "*.example" : "*");
    EXPECT_EQ(lane.queued, 1u);
  }
  EXPECT_EQ(why(x).reason, "suspended");
  world_.pass(1h);
  EXPECT_EQ(world_.stored(other), nullptr);
  EXPECT_NE(world_.stored(x), nullptr);
  world_.pass(1h);
  EXPECT_EQ(world_.stored(x), nullptr);
}

TEST_P(SuspensionTest, WhileItDrainsNothingIsAcceptedAndEverythingElseGoesOn) {
  world_.target().add({.body = refuse(451, "4.3.0", "come back later")});
  submit("a@x.example");
  world_.queue().drain(true, "moving to another machine", "operator test");
  EXPECT_TRUE(world_.queue().draining());
  std::string reason;
  EXPECT_FALSE(world_.queue().accepting(&reason));
  EXPECT_EQ(reason, "draining: moving to another machine");
  const Admitted refused = world_.submit("s@sender.test", {"b@x.example"});
  EXPECT_EQ(refused.status, Status::full);
  EXPECT_EQ(refused.detail, reason);
  world_.target().add({.body = refuse(550, "5.0.0", "no")});
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(delivered("s@sender.test"), 1u) << "notices are mail of our own";
  world_.queue().drain(false, "", "operator test");
  EXPECT_TRUE(world_.queue().accepting());
  EXPECT_EQ(world_.submit("s@sender.test", {"b@x.example"}).status, Status::committed);
}

TEST_P(SuspensionTest, WhatIsLearnedLaterStandsInTheHistory) {
  const QueueId id = submit("a@x.example");
  spool::Record record;
  record.id = id;
  record.at = now();
  record.recipient = 0;
  record.recipient_address = "a@x.example";
  record.tenant = "default";
  record.disposition.outcome = Outcome::failed;
  record.reason = "a notice of mx.example";
  record.actor = "bounces";
  EXPECT_EQ(world_.wait(world_.queue().record(record)), Status::committed);
  EXPECT_EQ(world_.history(id).back().kind, spool::EventKind::bounced);
  EXPECT_EQ(world_.totals().delivered, 1u);
}

INSTANTIATE_TEST_SUITE_P(Backends, SuspensionTest, testing::Values(Backend::memory, Backend::file),
                         [](const auto& backend) { return to_text(backend.param); });
INSTANTIATE_TEST_SUITE_P(Backends, TimedSuspensionTest, testing::Values(Backend::memory),
                         [](const auto& backend) { return to_text(backend.param); });

}  // namespace
}  // namespace mansio::acceptance
