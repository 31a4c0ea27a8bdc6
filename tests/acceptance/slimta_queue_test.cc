// What slimta's queue tests ask of a queue (cases 11, 13 to 29, 57, 61 to 67 and 70). Case 24
// differs on purpose: one notice names all recipients, where slimta sent one per reply; see
// docs/CONFORMANCE.md.
#include <type_traits>

#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using fake::refuse;
using testing::ElementsAre;

const std::vector<std::string> abcd = {"a@x.example", "b@x.example", "c@x.example", "d@x.example"};

settings::Retry every(Duration delay, std::uint32_t tries_max = 0) {
  settings::Retry retry = immediate_retries(tries_max);
  retry.min = retry.max = delay;
  return retry;
}

class SlimtaQueue : public testing::TestWithParam<Backend> {
 protected:
  WorldOptions options(settings::Retry retry) const { return {GetParam(), retry, 1}; }
};

// A storage that leaves something out is no storage: the compiler says so.
static_assert(std::is_abstract_v<spool::Spool>);
static_assert(std::is_abstract_v<Target> && std::is_abstract_v<Delivery>);

TEST_P(SlimtaQueue, slimta_11_a_target_that_tells_no_statuses_is_asked_for_none) {
  World world(options(every(std::chrono::hours(1))));
  world.target().add({.body = refuse(450, "4.2.1", "later")});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  world.settle();
  EXPECT_EQ(world.stored(admitted.id)->recipients[0].last.reply.text, "later");
}

TEST_P(SlimtaQueue, slimta_13_an_empty_queue_wakes_and_a_known_id_is_ignored) {
  World world(options(every(std::chrono::hours(1))));
  world.pass(std::chrono::hours(1));  // nothing to do
  Submission submission;
  submission.id = world.queue().new_id();
  submission.envelope.reverse_path = *Address::parse("s@b.example", false);
  Recipient recipient;
  recipient.address = recipient.original = *Address::parse("a@x.example", false);
  submission.envelope.recipients.push_back(recipient);
  const std::string content = "Subject: once\r\n\r\nbody\r\n";
  ContentScanner scanner;
  scanner.feed(content);
  submission.content.facts = scanner.finish();
  submission.content.octets = std::make_shared<const std::string>(content);
  world.target().set_default({.body = refuse(450, "4.2.1", "later")});
  EXPECT_EQ(world.wait(world.queue().admit(submission)).status, spool::Status::committed);
  EXPECT_EQ(world.wait(world.queue().admit(submission)).status, spool::Status::committed);
  world.settle();
  EXPECT_EQ(world.totals().accepted, 1u);
  world.target().set_default({});
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().times_delivered("a@x.example"), 1u);
}

TEST_P(SlimtaQueue, slimta_14_a_start_loads_all_there_is_and_nothing_from_nothing) {
  World world(options(every(std::chrono::hours(1))));
  world.restart();
  EXPECT_EQ(world.totals().queued, 0u);
  EXPECT_THAT(world.ids(), testing::IsEmpty());
  world.target().set_default({.body = refuse(450, "4.2.1", "later")});
  std::vector<QueueId> ids;
  for (const std::string& who : abcd) ids.push_back(world.submit("s@b.example", {who}).id);
  world.settle();
  world.restart();
  EXPECT_THAT(world.ids(), testing::UnorderedElementsAreArray(ids));
  world.target().set_default({});
  ASSERT_TRUE(world.run_until_empty());
  for (const std::string& who : abcd) EXPECT_EQ(world.target().times_delivered(who), 1u);
}

TEST_P(SlimtaQueue, slimta_15_success_removes_the_message) {
  World world(options(every(std::chrono::hours(1))));
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.stored(admitted.id), nullptr);
  EXPECT_EQ(world.totals().delivered, 1u);
  EXPECT_FALSE(world.history(admitted.id).empty()) << "the history stays";
}

TEST_P(SlimtaQueue, slimta_16_without_a_way_out_the_message_is_stored) {
  WorldOptions stored = options(every(std::chrono::hours(1)));
  World world(stored);
  world.settings().routes.clear();
  world.restart();
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  EXPECT_EQ(admitted.status, spool::Status::committed);
  world.pass(std::chrono::hours(2));
  EXPECT_EQ(world.totals().queued, 1u);
  const auto waits = world.wait(world.queue().why(admitted.id));
  ASSERT_TRUE(waits);
  EXPECT_EQ(waits->at(0).reason, "policy");
  EXPECT_EQ(world.stored(admitted.id)->recipients[0].tries, 0u) << "a local cause burns no try";
}

TEST_P(SlimtaQueue, slimta_17_recipients_of_three_domains_go_their_own_ways) {
  World world(options(every(std::chrono::hours(1))));
  world.submit("s@b.example", {"a@x.example", "a@y.example", "a@z.example"});
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 3u);
  for (const char* who : {"a@x.example", "a@y.example", "a@z.example"}) {
    EXPECT_EQ(world.target().times_delivered(who), 1u);
  }
}

TEST_P(SlimtaQueue, slimta_18_what_the_store_answers_reaches_whoever_submits) {
  World world(options(every(std::chrono::hours(1))));
  for (const auto status : {spool::Status::full, spool::Status::refused, spool::Status::unknown}) {
    world.spool().answer_admits(status);
    const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
    EXPECT_EQ(admitted.status, status);
    EXPECT_EQ(admitted.detail, "injected by the test");
  }
  world.pass(std::chrono::hours(1));
  EXPECT_EQ(world.target().size(), 0u) << "nothing that was not accepted is delivered";
  world.spool().answer_admits(std::nullopt);
  EXPECT_EQ(world.submit("s@b.example", {"a@x.example"}).status, spool::Status::committed);
  EXPECT_TRUE(world.run_until_empty());
}

TEST_P(SlimtaQueue, slimta_19_a_temporary_failure_counts_a_try_and_sets_a_new_due_time) {
  World world(options(every(std::chrono::minutes(7))));
  world.target().add({.body = refuse(451, "4.3.0", "later")});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  const Time before = world.clock().now();
  world.settle();
  const auto stored = world.stored(admitted.id);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->recipients[0].tries, 1u);
  EXPECT_EQ(stored->recipients[0].retry_count, 1u);
  EXPECT_EQ(stored->recipients[0].due, before + std::chrono::minutes(7));
  EXPECT_EQ(stored->recipients[0].last.reply.text, "later");
}

TEST_P(SlimtaQueue, slimta_20_the_last_temporary_failure_is_reported) {
  World world(options(every(std::chrono::minutes(1), 1)));
  world.target().add({.body = refuse(451, "4.3.0", "try later")});
  world.submit("s@b.example", {"a@x.example"});
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = world.target().deliveries();
  ASSERT_EQ(deliveries.size(), 2u);
  EXPECT_TRUE(deliveries[1].reverse_path.is_null());
  EXPECT_THAT(deliveries[1].offered, ElementsAre("s@b.example"));
  EXPECT_NE(deliveries[1].content.find("try later"), std::string::npos) << deliveries[1].content;
}

TEST_P(SlimtaQueue, slimta_21_a_permanent_failure_removes_the_message_and_tells_the_sender) {
  World world(options(every(std::chrono::minutes(1))));
  world.target().add({.body = refuse(550, "5.2.1", "closed")});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.stored(admitted.id), nullptr);
  EXPECT_EQ(world.target().times_delivered("s@b.example"), 1u);
}

TEST_P(SlimtaQueue, slimta_22_an_unexpected_exception_is_a_deferral) {
  World world(options(every(std::chrono::minutes(1))));
  world.target().add({.throws = "a bug in the target"});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  world.settle();
  EXPECT_EQ(world.totals().queued, 1u);
  EXPECT_EQ(world.stored(admitted.id)->recipients[0].tries, 0u) << "our own fault burns no try";
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().times_delivered("a@x.example"), 1u);
}

TEST_P(SlimtaQueue, slimta_23_each_recipient_of_a_partial_result_keeps_its_own) {
  World world(options(every(std::chrono::minutes(5))));
  world.target().add({.statuses = std::vector{fake::accept(), refuse(451, "4.2.1", "later"),
                                              refuse(550, "5.1.1", "no")}});
  const Admitted admitted = world.submit("", {"a@x.example", "b@x.example", "c@x.example"});
  world.settle();
  const auto stored = world.stored(admitted.id);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->recipients[0].state, RecipientState::delivered);
  EXPECT_EQ(stored->recipients[1].state, RecipientState::queued);
  EXPECT_EQ(stored->recipients[2].state, RecipientState::failed);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_THAT(world.target().deliveries().back().offered, ElementsAre("b@x.example"));
}

TEST_P(SlimtaQueue, slimta_24_what_fails_together_is_reported_in_one_notice) {
  World world(options(every(std::chrono::minutes(5), 1)));
  world.target().add({.statuses = std::vector{refuse(451, "4.2.1", "first reason"),
                                              refuse(452, "4.2.2", "second reason"),
                                              refuse(550, "5.1.1", "third reason")}});
  world.submit("s@b.example", {"a@x.example", "b@x.example", "c@x.example"});
  ASSERT_TRUE(world.run_until_empty());
  const auto deliveries = world.target().deliveries();
  ASSERT_EQ(deliveries.size(), 2u);
  for (const char* text :
       {"first reason", "second reason", "third reason", "a@x.example", "b@x.example"}) {
    EXPECT_NE(deliveries[1].content.find(text), std::string::npos) << text;
  }
}

TEST_P(SlimtaQueue, slimta_25_only_what_is_due_is_tried) {
  World world(options(every(std::chrono::minutes(10))));
  world.target().add({.body = refuse(451, "4.3.0", "later")});
  world.submit("s@b.example", {"a@x.example"});
  world.settle();
  world.pass(std::chrono::minutes(9));
  EXPECT_EQ(world.target().size(), 1u) << "not yet";
  world.pass(std::chrono::minutes(1));
  EXPECT_EQ(world.target().size(), 2u);
  EXPECT_EQ(world.totals().queued, 0u);
}

TEST_P(SlimtaQueue, slimta_27_an_earlier_entry_wakes_the_queue_first) {
  World world(options(every(std::chrono::hours(2))));
  world.target().add({.body = refuse(451, "4.3.0", "later")});
  world.submit("s@b.example", {"a@x.example"});
  world.settle();
  world.submit("s@b.example", {"b@x.example"});
  world.settle();
  EXPECT_EQ(world.target().times_delivered("b@x.example"), 1u)
      << "nobody waits for the deferred one";
  EXPECT_EQ(world.target().times_delivered("a@x.example"), 0u);
}

TEST_P(SlimtaQueue, slimta_29_stop_ends_the_queue_with_everything_kept) {
  World world(options(every(std::chrono::hours(2))));
  world.target().add({.body = refuse(451, "4.3.0", "later")});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  world.settle();
  world.stop();
  world.clock().advance(std::chrono::hours(5));
  EXPECT_EQ(world.target().size(), 1u) << "nothing runs after the stop";
  world.start();
  EXPECT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().times_delivered("a@x.example"), 1u);
  EXPECT_EQ(world.history(admitted.id).size(), 3u) << "accepted, deferred, delivered";
}

TEST_P(SlimtaQueue, slimta_57_four_recipients_in_four_rounds_get_it_once_each) {
  World world(options(every(std::chrono::minutes(1))));
  const auto later = refuse(451, "4.2.1", "later");
  using Statuses = std::map<std::string, Disposition>;
  world.target().add(
      {.statuses_by_address = Statuses{{abcd[1], later}, {abcd[2], later}, {abcd[3], later}}});
  world.target().add({.statuses_by_address = Statuses{{abcd[1], later}, {abcd[3], later}}});
  world.target().add({.statuses_by_address = Statuses{{abcd[3], later}}});
  world.submit("s@b.example", abcd);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 4u);
  for (const std::string& who : abcd) EXPECT_EQ(world.target().times_delivered(who), 1u) << who;
}

TEST_P(SlimtaQueue, slimta_61_what_was_stored_before_a_stop_is_due_at_the_start) {
  World world(options(every(std::chrono::hours(1))));
  world.settings().routes.clear();
  world.restart();
  world.submit("s@b.example", {"a@x.example"});
  settings::Route route;
  route.pattern = "*";
  route.channel = "scripted";
  world.settings().routes.push_back(route);
  world.restart();
  world.pass(std::chrono::seconds(10));
  EXPECT_EQ(world.target().times_delivered("a@x.example"), 1u);
}

TEST_P(SlimtaQueue, slimta_63_a_notice_that_fails_makes_no_notice) {
  World world(options(every(std::chrono::minutes(1))));
  world.target().set_default({.body = refuse(550, "5.7.1", "never")});
  world.submit("s@b.example", {"a@x.example"});
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 2u);
  EXPECT_EQ(world.totals().accepted, 2u);
  EXPECT_EQ(world.totals().failed, 2u);
}

TEST_P(SlimtaQueue, slimta_64_retry_now_then_a_deferral_is_scheduled_again) {
  World world(options(every(std::chrono::hours(1))));
  const auto later = refuse(451, "4.3.0", "later");
  world.target().add({.body = later});
  world.target().add({.body = later});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  world.settle();
  QueueSelector selector;
  selector.stored.ids = {admitted.id};
  const BulkResult result =
      world.wait(world.queue().apply(spool::Verb::make_due, selector, "now", "test", false));
  EXPECT_EQ(result.changed, 1u);
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.target().size(), 2u);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 3u);
}

TEST_P(SlimtaQueue, slimta_65_recipients_refused_with_mixed_codes_get_their_own) {
  World world(options(every(std::chrono::hours(1))));
  world.target().add({.recipients = {{"a@x.example", refuse(550, "5.1.1", "no")},
                                     {"b@x.example", refuse(450, "4.2.1", "later")}}});
  const Admitted admitted = world.submit("", {"a@x.example", "b@x.example"});
  world.settle();
  const auto stored = world.stored(admitted.id);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->recipients[0].state, RecipientState::failed);
  EXPECT_EQ(stored->recipients[0].last.reply.code, 550);
  EXPECT_EQ(stored->recipients[1].state, RecipientState::queued);
  EXPECT_EQ(stored->recipients[1].last.reply.code, 450);
}

TEST_P(SlimtaQueue, slimta_28_a_flush_tries_what_is_due_in_a_minute_and_in_a_year) {
  World world(options(every(std::chrono::hours(24 * 365))));
  world.settings().retry.lifetime = std::chrono::hours(24 * 1000);
  world.reload();
  world.target().set_default({.body = refuse(450, "4.2.1", "later")});
  world.submit("s@b.example", {"a@x.example"});
  world.settle();
  world.settings().retry.min = world.settings().retry.max = std::chrono::minutes(1);
  world.reload();
  world.submit("s@b.example", {"b@x.example"});
  world.settle();
  const std::size_t tried = world.target().size();
  world.target().set_default({});
  QueueSelector all;
  all.stored.everything = true;
  const BulkResult flushed =
      world.wait(world.queue().apply(spool::Verb::make_due, all, "flush", "test", false));
  EXPECT_EQ(flushed.changed, 2u);
  world.pass(std::chrono::seconds(1));
  EXPECT_EQ(world.target().size(), tried + 2);
  EXPECT_EQ(world.totals().queued, 0u);
}

TEST_P(SlimtaQueue, slimta_67_a_reply_survives_the_store_and_cannot_break_the_notice) {
  World world(options(every(std::chrono::hours(1))));
  const std::string said = "<user@host> \"odd\" 'name' & \x1b[31m\x01 Final-Recipient: rfc822; x@y";
  world.target().add({.body = refuse(450, "4.2.1", said)});
  world.target().add({.body = refuse(550, "5.2.1", said)});
  const Admitted admitted = world.submit("s@b.example", {"a@x.example"});
  world.settle();
  world.restart();
  EXPECT_EQ(world.stored(admitted.id)->recipients[0].last.reply.text, said);
  ASSERT_TRUE(world.run_until_empty());
  std::vector<std::string> told;
  for (const auto& entry : world.history(admitted.id)) {
    if (entry.kind == spool::EventKind::failed) told.push_back(entry.disposition.reply.text);
  }
  EXPECT_THAT(told, ElementsAre(said));
  const auto deliveries = world.target().deliveries();
  ASSERT_EQ(deliveries.size(), 3u);
  const std::string& notice = deliveries.back().content;
  EXPECT_TRUE(deliveries.back().reverse_path.is_null());
  EXPECT_THAT(notice, testing::HasSubstr("<user@host> \"odd\" 'name' &"));
  EXPECT_EQ(notice.find('\x1b'), notice.npos);
  EXPECT_EQ(notice.find('\x01'), notice.npos);
  EXPECT_EQ(notice.find("\r\nFinal-Recipient: rfc822; x@y"), notice.npos);
}

TEST_P(SlimtaQueue, slimta_70_zero_delay_and_endless_delay) {
  {
    World world(options(every(Duration::zero(), 3)));
    world.target().set_default({.body = refuse(451, "4.3.0", "later")});
    const Time begin = world.clock().now();
    world.submit("", {"a@x.example"});
    ASSERT_TRUE(world.run_until_empty());
    EXPECT_EQ(world.target().size(), 3u);
    EXPECT_LT(world.clock().now() - begin, std::chrono::seconds(1));
  }
  {
    settings::Retry endless = every(std::chrono::hours(24 * 365));
    World world(options(endless));
    world.target().set_default({.body = refuse(451, "4.3.0", "later")});
    const Time begin = world.clock().now();
    world.submit("", {"a@x.example"});
    ASSERT_TRUE(world.run_until_empty());
    EXPECT_EQ(world.totals().expired, 1u) << "the lifetime ends what the delay would not";
    EXPECT_GE(world.clock().now() - begin, endless.lifetime);
    EXPECT_LT(world.clock().now() - begin, endless.lifetime + std::chrono::hours(1));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, SlimtaQueue, testing::Values(Backend::memory, Backend::file),
                         [](const auto& backend) { return to_text(backend.param); });

}  // namespace
}  // namespace mansio::acceptance
