// The operator's verbs and the promises that they rest on, over the real queue.
#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using fake::refuse;
using spool::Verb;

class Operator : public testing::TestWithParam<Backend> {
 protected:
  Operator() : world_({GetParam(), hourly(), 1}) {}

  static settings::Retry hourly() {
    settings::Retry retry = immediate_retries(0);
    retry.min = retry.max = std::chrono::hours(1);
    return retry;
  }

  QueueId deferred_message(const std::string& recipient) {
    world_.target().add({.body = refuse(451, "4.3.0", "come back later")});
    const QueueId id = world_.submit("s@b.example", {recipient}).id;
    world_.settle();
    return id;
  }

  static QueueSelector by_id(const QueueId& id) {
    QueueSelector selector;
    selector.stored.ids = {id};
    return selector;
  }

  BulkResult apply(Verb verb, const QueueSelector& selector, bool dry_run = false) {
    return world_.wait(world_.queue().apply(verb, selector, "a test", "operator test", dry_run));
  }

  std::string reason(const QueueId& id) {
    const auto waits = world_.wait(world_.queue().why(id));
    return waits && !waits->empty() ? waits->front().reason : "";
  }

  World world_;
};

TEST_P(Operator, HeldMailWaitsForReleaseAcrossARestart) {
  const QueueId id = deferred_message("a@x.example");
  EXPECT_EQ(reason(id), "backoff");
  EXPECT_EQ(apply(Verb::hold, by_id(id)).changed, 1u);
  EXPECT_EQ(reason(id), "held");
  EXPECT_EQ(world_.wait(world_.queue().why(id))->front().detail, "operator test: a test");
  world_.restart();
  world_.pass(std::chrono::hours(10));
  EXPECT_EQ(world_.target().size(), 1u);
  EXPECT_EQ(apply(Verb::release, by_id(id)).changed, 1u);
  world_.pass(std::chrono::seconds(1));
  EXPECT_EQ(world_.target().times_delivered("a@x.example"), 1u);
}

TEST_P(Operator, HeldMailExpires) {
  const QueueId id = deferred_message("a@x.example");
  apply(Verb::hold, by_id(id));
  world_.pass(std::chrono::hours(24 * 5 + 3));
  EXPECT_EQ(world_.totals().expired, 1u);
  EXPECT_EQ(world_.target().times_delivered("s@b.example"), 1u) << "the sender is told";
}

TEST_P(Operator, RemovedMailIsGoneWithoutANotice) {
  const QueueId id = deferred_message("a@x.example");
  EXPECT_EQ(apply(Verb::remove, by_id(id), true).matched, 1u);
  EXPECT_NE(world_.stored(id), nullptr) << "a dry run changes nothing";
  EXPECT_EQ(apply(Verb::remove, by_id(id)).changed, 1u);
  world_.pass(std::chrono::hours(2));
  EXPECT_EQ(world_.totals().removed, 1u);
  EXPECT_EQ(world_.target().size(), 1u);
  const auto history = world_.history(id);
  ASSERT_FALSE(history.empty());
  EXPECT_EQ(history.back().kind, spool::EventKind::removed);
  EXPECT_EQ(history.back().actor, "operator test");
}

TEST_P(Operator, BouncedMailIsReportedToItsSender) {
  const QueueId id = deferred_message("a@x.example");
  EXPECT_EQ(apply(Verb::fail, by_id(id)).changed, 1u);
  world_.pass(std::chrono::seconds(5));
  EXPECT_EQ(world_.totals().failed, 1u);
  EXPECT_EQ(world_.target().times_delivered("s@b.example"), 1u);
}

TEST_P(Operator, BulkVerbsReachExactlyWhatIsSelected) {
  for (int i = 0; i < 30; ++i) {
    deferred_message("user" + std::to_string(i) + (i % 3 == 0 ? "@x.example" : "@y.example"));
  }
  QueueSelector selector;
  selector.stored.destination = "x.example";
  EXPECT_EQ(apply(Verb::remove, selector, true).matched, 10u);
  const BulkResult result = apply(Verb::remove, selector);
  EXPECT_EQ(result.matched, 10u);
  EXPECT_EQ(result.changed, 10u);
  EXPECT_EQ(world_.totals().queued, 20u);
  EXPECT_EQ(apply(Verb::remove, QueueSelector{}).matched, 0u)
      << "an empty selector selects nothing";
}

TEST_P(Operator, MailInFlightIsLeftAlone) {
  mansio::Event go(world_.context().get_executor());
  bool open = false;
  fake::ScriptedAttempt attempt;
  attempt.before_body_answer = [&go, &open]() -> Task<void> {
    while (!open) co_await go.wait();
  };
  world_.target().add(attempt);
  const QueueId id = world_.submit("s@b.example", {"a@x.example"}).id;
  world_.settle();
  EXPECT_EQ(reason(id), "in_flight");
  const BulkResult result = apply(Verb::remove, by_id(id));
  EXPECT_EQ(result.matched, 1u);
  EXPECT_EQ(result.changed, 0u);
  open = true;
  go.notify_all();
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(world_.totals().delivered, 1u);
}

TEST_P(Operator, ADryRunCountsWhatTheVerbThenChanges) {
  mansio::Event go(world_.context().get_executor());
  bool open = false;
  std::vector<QueueId> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(deferred_message("a@x.example"));
  apply(Verb::hold, by_id(ids[0]));
  apply(Verb::hold, by_id(ids[1]));
  fake::ScriptedAttempt attempt;
  attempt.before_body_answer = [&go, &open]() -> Task<void> {
    while (!open) co_await go.wait();
  };
  world_.target().add(attempt);
  world_.submit("s@b.example", {"b@x.example"});
  world_.settle();
  QueueSelector selector;
  selector.stored.destination = "x.example";
  for (const Verb verb : {Verb::release, Verb::hold, Verb::remove}) {
    const BulkResult dry = apply(verb, selector, true);
    const BulkResult real = apply(verb, selector);
    EXPECT_EQ(dry.matched, 11u);
    EXPECT_EQ(dry.in_flight, 1u);
    EXPECT_EQ(dry.changed, verb == Verb::release ? 2u : 10u);
    EXPECT_EQ(real.matched, dry.matched);
    EXPECT_EQ(real.changed, dry.changed);
    EXPECT_EQ(real.in_flight, dry.in_flight);
    EXPECT_EQ(real.messages, dry.messages);
    EXPECT_EQ(real.error, "");
    if (verb == Verb::release) {
      // What was released is due: it comes back to rest before the next verb.
      for (int i = 0; i < 2; ++i) {
        world_.target().add({.body = refuse(451, "4.3.0", "come back later")});
      }
      world_.pass(std::chrono::seconds(1));
    }
  }
  open = true;
  go.notify_all();
  ASSERT_TRUE(world_.run_until_empty());
}

TEST_P(Operator, EverythingHasToBeSaid) {
  deferred_message("a@x.example");
  QueueSelector star;
  star.stored.destination = "*";
  star.stored.recipient = "*";
  EXPECT_EQ(apply(Verb::remove, QueueSelector{}).error, "the selector names nothing");
  const BulkResult refused = apply(Verb::remove, star);
  EXPECT_EQ(refused.matched, 0u);
  EXPECT_NE(refused.error, "");
  EXPECT_EQ(world_.totals().queued, 1u);
  star.stored.everything = true;
  EXPECT_EQ(apply(Verb::remove, star).changed, 1u);
}

TEST_P(Operator, ABulkVerbTellsItsProgressAndEndsAtAPageWhenItIsCancelled) {
  std::vector<std::string> recipients;
  world_.target().set_default({.body = refuse(451, "4.3.0", "come back later")});
  for (int i = 0; i < 1200; ++i) world_.submit("s@b.example", {"a@x.example"});
  world_.pass(std::chrono::seconds(1));
  QueueSelector selector;
  selector.stored.destination = "x.example";
  const auto progress = std::make_shared<BulkProgress>();
  const auto hold = [&] {
    return world_.wait(
        world_.queue().apply(Verb::hold, selector, "", "operator test", false, progress));
  };
  progress->cancel = true;
  EXPECT_EQ(hold().matched, 0u);
  progress->cancel = false;
  bool ended = false;
  boost::asio::co_spawn(
      world_.context(),
      world_.queue().apply(Verb::hold, selector, "", "operator test", false, progress),
      [&ended](const std::exception_ptr&, const BulkResult& result) {
        EXPECT_EQ(result.changed, 500u) << "the first page";
        ended = true;
      });
  world_.run_until([&] { return progress->matched > 0; });
  progress->cancel = true;
  world_.run_until([&ended] { return ended; });
  EXPECT_EQ(progress->changed, 500u);
  progress->cancel = false;
  const BulkResult rest = hold();
  EXPECT_EQ(rest.matched, 1200u);
  EXPECT_EQ(rest.changed, 700u);
  EXPECT_EQ(world_.totals().held, 1200u);
}

/// Where a moment counts: while the file spool works, virtual time may pass.
class OperatorInTime : public Operator {};

TEST_P(OperatorInTime, LanesAndShapeShowWhatWaits) {
  world_.target().set_default({.body = refuse(451, "4.3.0", "come back later")});
  const Time first = world_.clock().now();
  world_.submit("s@b.example", {"a@x.example", "b@x.example", "a@y.example"});
  world_.pass(std::chrono::minutes(10));
  for (int i = 0; i < 3; ++i) world_.submit("s@b.example", {"c@x.example"});
  const QueueId held = world_.submit("s@b.example", {"a@z.example"}).id;
  world_.pass(std::chrono::minutes(1));
  apply(Verb::hold, by_id(held));

  const auto lanes = world_.wait(world_.queue().lanes());
  ASSERT_EQ(lanes.size(), 3u);
  for (const LaneStatus& lane : lanes) {
    const std::string& destination = lane.lane.destination;
    EXPECT_EQ(lane.queued, destination == "x.example" ? 5u : 1u);
    EXPECT_EQ(lane.held, destination == "z.example" ? 1u : 0u);
    EXPECT_FALSE(lane.suspension);
    EXPECT_TRUE(destination != "x.example" || lane.oldest == first);
  }

  QueueSelector everything;
  everything.stored.everything = true;
  const std::vector<Duration> bounds = {std::chrono::minutes(5), std::chrono::hours(1)};
  auto shape = world_.wait(world_.queue().shape(everything, bounds, 2));
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->bounds, bounds);
  EXPECT_EQ(shape->all.total, 7u);
  EXPECT_EQ(shape->all.by_age, (std::vector<std::uint64_t>{4, 3, 0}));
  ASSERT_EQ(shape->rows.size(), 2u);
  EXPECT_EQ(shape->rows[0].destination, "x.example");
  EXPECT_EQ(shape->rows[0].by_age, (std::vector<std::uint64_t>{3, 2, 0}));
  EXPECT_EQ(shape->rows[1].destination, "y.example");
  everything.state = LivingState::held;
  shape = world_.wait(world_.queue().shape(everything, bounds, 10));
  EXPECT_EQ(shape->all.total, 1u);
}

TEST_P(Operator, LoweringTriesMaxByReloadEndsRetriesWithTheLastReply) {
  world_.target().set_default({.body = refuse(451, "4.3.0", "greylisted")});
  const QueueId id = world_.submit("", {"a@x.example"}).id;
  world_.pass(std::chrono::hours(3) + std::chrono::minutes(30));
  const auto tries = world_.target().size();
  EXPECT_EQ(tries, 4u);
  world_.settings().retry.tries_max = 2;
  world_.queue().reload(std::make_shared<settings::Settings>(world_.settings()), {});
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(world_.target().size(), tries) << "no further attempt";
  EXPECT_EQ(world_.totals().failed, 1u);
  const auto history = world_.history(id);
  ASSERT_FALSE(history.empty());
  EXPECT_EQ(history.back().disposition.reply.text, "greylisted");
}

TEST_P(Operator, WithoutADurableMarkNothingIsSentWhereDoubtIsToBeHeld) {
  world_.settings().retry.in_doubt = "hold";
  world_.restart();
  world_.spool().fail_marks(true);
  const QueueId id = world_.submit("s@b.example", {"a@x.example"}).id;
  world_.settle();
  EXPECT_EQ(world_.target().times_delivered("a@x.example"), 0u);
  EXPECT_EQ(world_.stored(id)->recipients[0].tries, 0u) << "our own trouble is no try";
  world_.spool().fail_marks(false);
  ASSERT_TRUE(world_.run_until_empty());
  EXPECT_EQ(world_.target().times_delivered("a@x.example"), 1u);
}

TEST_P(Operator, TotalsBalanceAtEveryMoment) {
  world_.target().add({.statuses = std::vector{refuse(550, "5.1.1", "no"), fake::accept()}});
  world_.submit("s@b.example", {"a@x.example", "b@x.example"});
  const bool ended = world_.run_until([this] {
    EXPECT_TRUE(world_.totals().balanced());
    return world_.totals().queued == 0;
  });
  EXPECT_TRUE(ended);
  const auto totals = world_.totals();
  EXPECT_EQ(totals.accepted, 3u) << "two recipients and one notice";
  EXPECT_EQ(totals.delivered, 2u);
  EXPECT_EQ(totals.failed, 1u);
}

TEST_P(Operator, QueuesCanBeChained) {
  World second({Backend::memory, hourly(), 9});
  const auto hand_over = [](Target& target, Message message) -> Task<std::vector<Disposition>> {
    class Octets final : public ContentReader {
     public:
      explicit Octets(std::shared_ptr<const std::string> octets) : octets_(std::move(octets)) {}
      Task<Result<std::string>> read(std::uint64_t offset, std::uint64_t length) override {
        co_return octets_->substr(offset, length);
      }
      std::shared_ptr<const std::string> in_memory() const override { return octets_; }

     private:
      std::shared_ptr<const std::string> octets_;
    };
    Octets content(message.content.octets);
    std::uint64_t faults = 0;
    const std::vector<std::uint32_t> all = {0};
    auto delivering = deliver_to(target, message, all, content, faults);
    co_return co_await std::move(delivering);
  };
  Message message;
  message.envelope.reverse_path = *Address::parse("s@b.example", false);
  Recipient recipient;
  recipient.address = *Address::parse("a@x.example", false);
  recipient.original = recipient.address;
  message.envelope.recipients = {recipient};
  message.content.octets = std::make_shared<const std::string>("Subject: x\r\n\r\nchained\r\n");
  const auto dispositions = second.wait(hand_over(second.queue(), message));
  ASSERT_EQ(dispositions.size(), 1u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  ASSERT_TRUE(second.run_until_empty());
  EXPECT_EQ(second.target().times_delivered("a@x.example"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Backends, OperatorInTime, testing::Values(Backend::memory),
                         [](const auto& backend) { return to_text(backend.param); });
INSTANTIATE_TEST_SUITE_P(Backends, Operator, testing::Values(Backend::memory, Backend::file),
                         [](const auto& backend) { return to_text(backend.param); });

}  // namespace
}  // namespace mansio::acceptance
