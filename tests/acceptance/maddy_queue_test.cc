// What maddy's queue tests ask of a queue (cases 1 to 14), with its setting: no delay between
// tries, five tries. Cases 10 to 12 differ on purpose: a damaged message is quarantined, not
// deleted; see docs/CONFORMANCE.md.
#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using fake::refuse;
using testing::ElementsAre;

const std::vector<std::string> two = {"one@a.example", "two@a.example"};
const std::vector<std::string> three = {"one@a.example", "two@a.example", "three@a.example"};

class MaddyQueue : public testing::TestWithParam<Backend> {
 protected:
  WorldOptions options(std::uint32_t tries_max = 5) const {
    return {GetParam(), immediate_retries(tries_max), 1};
  }

  /// The deliveries that are not notices.
  static std::vector<fake::RecordedDelivery> mail(const World& world) {
    auto all = const_cast<World&>(world).target().deliveries();
    std::erase_if(all, [](const auto& delivery) { return delivery.reverse_path.is_null(); });
    return all;
  }
};

TEST_P(MaddyQueue, maddy_01_two_recipients_are_committed_as_one) {
  World world(options());
  ASSERT_EQ(world.submit("sender@b.example", two).status, spool::Status::committed);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_TRUE(deliveries[0].committed);
  EXPECT_EQ(deliveries[0].accepted, two);
  EXPECT_EQ(deliveries[0].reverse_path.to_string(), "sender@b.example");
  EXPECT_EQ(deliveries[0].content, "Subject: test\r\n\r\nbody\r\n");
  EXPECT_TRUE(world.ids().empty());
}

TEST_P(MaddyQueue, maddy_02_a_permanent_body_error_ends_it_at_once) {
  World world(options());
  world.target().add({.body = refuse(550, "5.6.0", "no")});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_TRUE(deliveries[0].aborted);
  EXPECT_EQ(world.totals().failed, 2u);
}

TEST_P(MaddyQueue, maddy_03_permanent_errors_per_recipient_end_it_at_once) {
  World world(options());
  const auto no = refuse(550, "5.6.0", "no");
  world.target().add({.statuses = std::vector{no, no}});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_TRUE(deliveries[0].aborted);
  EXPECT_EQ(world.totals().failed, 2u);
}

TEST_P(MaddyQueue, maddy_04_a_temporary_body_error_is_retried_for_all) {
  World world(options());
  world.target().add({.body = refuse(451, "4.3.0", "later")});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_TRUE(deliveries[0].aborted);
  EXPECT_TRUE(deliveries[1].committed);
  EXPECT_EQ(deliveries[1].accepted, two);
}

TEST_P(MaddyQueue, maddy_05_only_the_temporarily_failed_recipient_is_retried) {
  World world(options());
  world.target().add({.statuses = std::vector{fake::accept(), refuse(451, "4.2.2", "full")}});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_TRUE(deliveries[0].committed);
  EXPECT_EQ(deliveries[0].offered, two);
  EXPECT_THAT(deliveries[1].offered, ElementsAre("two@a.example"));
  EXPECT_EQ(world.totals().delivered, 2u);
}

TEST_P(MaddyQueue, maddy_06_permanent_temporary_and_delivered_take_their_own_ways) {
  World world(options());
  const auto no = refuse(550, "5.1.1", "no");
  const auto later = refuse(451, "4.2.1", "later");
  world.target().add({.statuses = std::vector{no, later, fake::accept()}});
  world.target().set_default({});
  world.submit("", three);  // the null path: no notice comes between
  world.target().add({.statuses = std::vector{later}});
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = world.target().deliveries();
  ASSERT_EQ(deliveries.size(), 3u);
  EXPECT_TRUE(deliveries[0].committed);
  EXPECT_TRUE(deliveries[1].aborted);
  EXPECT_TRUE(deliveries[2].committed);
  EXPECT_THAT(deliveries[1].offered, ElementsAre("two@a.example"));
  EXPECT_THAT(deliveries[2].offered, ElementsAre("two@a.example"));
}

TEST_P(MaddyQueue, maddy_07_a_permanently_rejected_recipient_does_not_stop_the_others) {
  World world(options());
  world.target().add({.recipients = {{"one@a.example", refuse(550, "5.1.1", "no")}}});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_THAT(deliveries[0].accepted, ElementsAre("two@a.example"));
  EXPECT_TRUE(deliveries[0].committed);
}

TEST_P(MaddyQueue, maddy_08_a_temporarily_rejected_recipient_is_offered_again_alone) {
  World world(options());
  world.target().add({.recipients = {{"one@a.example", refuse(450, "4.2.1", "later")}}});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_THAT(deliveries[0].accepted, ElementsAre("two@a.example"));
  EXPECT_THAT(deliveries[1].offered, ElementsAre("one@a.example"));
}

TEST_P(MaddyQueue, maddy_09_a_restart_delivers_only_what_was_pending) {
  WorldOptions slow = options();
  slow.retry.min = slow.retry.max = std::chrono::hours(1);
  World world(slow);
  world.target().add({.statuses = std::vector{fake::accept(), refuse(451, "4.2.1", "later")}});
  const Admitted admitted = world.submit("sender@b.example", two);
  world.settle();
  const auto before = world.stored(admitted.id);
  const auto history_before = world.history(admitted.id);
  EXPECT_THAT(world.ids(), ElementsAre(admitted.id));
  world.restart();
  const auto after = world.stored(admitted.id);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->recipients, after->recipients)
      << "tries, due times and replies survive exactly";
  EXPECT_EQ(world.history(admitted.id).size(), history_before.size());
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_THAT(world.target().deliveries().back().offered, ElementsAre("two@a.example"));
  EXPECT_EQ(world.target().times_delivered("one@a.example"), 1u);
  EXPECT_EQ(world.target().times_delivered("two@a.example"), 1u);
}

TEST_P(MaddyQueue, maddy_13_without_an_accepted_recipient_the_body_is_not_sent) {
  World world(options());
  const auto no = refuse(550, "5.1.1", "no");
  world.target().add({.recipients = {{"one@a.example", no}, {"two@a.example", no}}});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = mail(world);
  ASSERT_EQ(deliveries.size(), 1u);
  EXPECT_TRUE(deliveries[0].aborted);
  EXPECT_FALSE(deliveries[0].body_sent);
}

TEST_P(MaddyQueue, maddy_14_an_aborted_delivery_into_the_queue_leaves_nothing) {
  World world(options());
  Message message;
  message.envelope.reverse_path = *Address::parse("sender@b.example", false);
  Recipient recipient;
  recipient.address = *Address::parse("one@a.example", false);
  const auto attempt = [](Target& target, const Message& offered,
                          const Recipient& to) -> Task<bool> {
    auto starting = target.start(offered);
    Started started = co_await std::move(starting);
    auto adding = started.delivery->add_recipient(to);
    const Disposition added = co_await std::move(adding);
    auto aborting = started.delivery->abort();
    co_await std::move(aborting);
    co_return added.outcome == Outcome::delivered;
  };
  EXPECT_TRUE(world.wait(attempt(world.queue(), message, recipient)));
  EXPECT_TRUE(world.ids().empty());
  EXPECT_EQ(world.totals(), spool::Totals{});
  EXPECT_EQ(world.target().size(), 0u);
}

TEST_P(MaddyQueue, maddy_failures_reach_the_sender_once_and_never_the_null_path) {
  World world(options());
  const auto no = refuse(550, "5.1.1", "no such user");
  world.target().add({.recipients = {{"one@a.example", no}}});
  world.target().set_default({.start = refuse(550, "5.7.1", "notices are not welcome")});
  world.submit("sender@b.example", two);
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = world.target().deliveries();
  std::size_t notices = 0;
  for (const auto& delivery : deliveries) notices += delivery.reverse_path.is_null() ? 1 : 0;
  EXPECT_EQ(notices, 1u) << "one notice, and none about the notice that failed";
  const auto totals = world.totals();
  EXPECT_EQ(totals.accepted, 3u);
  EXPECT_TRUE(totals.balanced());
}

INSTANTIATE_TEST_SUITE_P(Backends, MaddyQueue, testing::Values(Backend::memory, Backend::file),
                         [](const auto& backend) { return to_text(backend.param); });

/// Damage that a memory spool can be given: the message is kept and reported, the rest goes on.
class MaddyDamage : public testing::Test {
 protected:
  MaddyDamage() : world_({Backend::memory, slow(), 1}) {
    world_.target().add({.start = refuse(451, "4.3.2", "not now")});
    damaged_ = world_.submit("sender@b.example", {"one@a.example"}).id;
    world_.settle();
    world_.target().add({.start = refuse(451, "4.3.2", "not now")});
    sound_ = world_.submit("sender@b.example", {"two@c.example"}).id;
    world_.settle();
    world_.stop();
  }

  static settings::Retry slow() {
    settings::Retry retry = immediate_retries(0);
    retry.min = retry.max = std::chrono::hours(1);
    return retry;
  }

  /// `quarantined`: those that the totals show as quarantined. Of a record that does not decode
  /// nobody knows the states: its recipients stay in the totals as they were, and in the queue.
  void expect_kept_apart(std::uint64_t quarantined) {
    world_.start();
    world_.pass(std::chrono::hours(3));
    EXPECT_EQ(world_.target().times_delivered("two@c.example"), 1u);
    EXPECT_EQ(world_.target().times_delivered("one@a.example"), 0u);
    EXPECT_EQ(world_.totals().quarantined, quarantined);
    EXPECT_EQ(world_.totals().queued, 1u) << "it is still there";
    EXPECT_TRUE(world_.totals().balanced());
  }

  World world_;
  QueueId damaged_, sound_;
};

TEST_F(MaddyDamage, maddy_10_a_damaged_body_is_quarantined_and_the_rest_goes_on) {
  world_.house().corrupt_content(damaged_);
  expect_kept_apart(1);
}

TEST_F(MaddyDamage, maddy_11_a_damaged_header_is_quarantined_and_the_rest_goes_on) {
  // Header and body are one stored content here: the first octet is as good as the last.
  world_.house().corrupt_content(damaged_);
  expect_kept_apart(1);
}

TEST_F(MaddyDamage, maddy_12_damaged_metadata_are_kept_and_the_rest_goes_on) {
  world_.house().corrupt_record(damaged_);
  expect_kept_apart(0);
}

}  // namespace
}  // namespace mansio::acceptance
