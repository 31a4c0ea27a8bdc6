// Notices of delay (RFC 3461 §4.1 DELAY, RFC 3464 §2.3.9), in virtual time.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using fake::refuse;
using std::chrono::hours;
using testing::HasSubstr;
using testing::Not;

const std::string content = "Subject: Offer\r\n\r\nThe body.\r\n";

/// Mail from s@b.example, whose own domain is reached; x.example answers "later", and
/// unreachable.example has no route, so that what goes there is never tried itself.
class DelayNotices : public testing::TestWithParam<Backend> {
 protected:
  static WorldOptions options(std::vector<Duration> ages = {hours(4)}) {
    WorldOptions made;
    made.backend = GetParam();
    made.retry = immediate_retries(0);
    made.retry.min = made.retry.max = hours(1);
    made.retry.lifetime = hours(120);
    made.notify.delay = std::move(ages);
    return made;
  }

  static std::unique_ptr<World> world_with(const WorldOptions& options) {
    auto world = std::make_unique<World>(options);
    world->settings().routes.clear();
    for (const char* pattern : {"b.example", "x.example"}) {
      settings::Route route;
      route.pattern = pattern;
      route.channel = "scripted";
      world->settings().routes.push_back(route);
    }
    world->reload();
    const Disposition later = refuse(451, "4.3.2", "come back later");
    world->target().set_default({.recipients = {{"a@x.example", later}, {"b@x.example", later}}});
    return world;
  }

  static std::vector<fake::RecordedDelivery> notices_of(World& world) {
    auto all = world.target().deliveries();
    std::erase_if(all, [](const auto& delivery) { return !delivery.reverse_path.is_null(); });
    return all;
  }

  static std::size_t count(World& world) { return notices_of(world).size(); }
};

TEST_P(DelayNotices, N9_the_sender_is_told_once_when_the_age_is_reached) {
  const auto world = world_with(options());
  const QueueId id = world->submit("s@b.example", {"a@x.example"}, content).id;
  world->pass(hours(3) + std::chrono::minutes(50));
  EXPECT_EQ(count(*world), 0u);
  world->pass(std::chrono::minutes(25));
  ASSERT_EQ(count(*world), 1u);
  const std::string text = notices_of(*world)[0].content;
  EXPECT_THAT(text, HasSubstr("\r\nAction: delayed\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nStatus: 4.3.2\r\n"));
  EXPECT_THAT(text, HasSubstr("451 4.3.2 come back later"));
  EXPECT_THAT(text, HasSubstr("\r\nWill-Retry-Until: " +
                              to_rfc5322(world->stored(id)->message.expires_at) + "\r\n"));
  EXPECT_THAT(text, HasSubstr("The last 5 tries:"));
  EXPECT_THAT(text, Not(HasSubstr("The body.")));
  world->pass(hours(24));
  EXPECT_EQ(count(*world), 1u);
  EXPECT_EQ(world->stored(id)->recipients[0].delay_notices, 1u);
  EXPECT_TRUE(std::ranges::any_of(world->history(id), [](const spool::HistoryEntry& entry) {
    return entry.kind == spool::EventKind::notice;
  }));
}

TEST_P(DelayNotices, N9_a_recipient_that_was_never_tried_is_told_of_with_its_destinations_trouble) {
  const auto world = world_with(options());
  const QueueId id = world->submit("s@b.example", {"a@unreachable.example"}, content).id;
  world->pass(hours(5));
  EXPECT_EQ(world->stored(id)->recipients[0].tries, 0u);
  ASSERT_EQ(count(*world), 1u);
  const std::string text = notices_of(*world)[0].content;
  EXPECT_THAT(text, HasSubstr("There was no try yet."));
  EXPECT_THAT(text, HasSubstr("no route or channel is configured"));
  EXPECT_THAT(text, Not(HasSubstr("Last-Attempt-Date")));
}

TEST_P(DelayNotices, N9_several_ages_are_told_one_by_one_and_the_failure_ends_it) {
  WorldOptions twice = options({hours(8), hours(2)});  // any order
  twice.retry.lifetime = hours(12);
  const auto world = world_with(twice);
  world->submit("s@b.example", {"a@x.example"}, content);
  world->pass(hours(3));
  EXPECT_EQ(count(*world), 1u);
  world->pass(hours(6));
  EXPECT_EQ(count(*world), 2u);
  world->pass(hours(48));
  const auto notices = notices_of(*world);
  ASSERT_EQ(notices.size(), 3u);
  EXPECT_THAT(notices[2].content, HasSubstr("\r\nAction: failed\r\n"));
  EXPECT_THAT(notices[2].content, HasSubstr("\r\nStatus: 5.4.7\r\n"));
}

TEST_P(DelayNotices, N9_one_notice_names_all_recipients_that_wait) {
  const auto world = world_with(options());
  world->submit("s@b.example", {"a@x.example", "b@x.example", "c@x.example"}, content);
  world->pass(hours(5));
  ASSERT_EQ(count(*world), 1u);
  const std::string text = notices_of(*world)[0].content;
  EXPECT_THAT(text, HasSubstr("Final-Recipient: rfc822; a@x.example"));
  EXPECT_THAT(text, HasSubstr("Final-Recipient: rfc822; b@x.example"));
  EXPECT_THAT(text, Not(HasSubstr("c@x.example"))) << "it was delivered";
}

TEST_P(DelayNotices, N3_nobody_is_told_who_did_not_ask) {
  const auto world = world_with(options());
  Envelope envelope;
  envelope.reverse_path = *Address::parse("s@b.example", false);
  Recipient recipient;
  recipient.address = recipient.original = *Address::parse("a@x.example", false);
  recipient.notify = {.present = true, .success = true, .failure = true};
  envelope.recipients = {recipient};
  world->submit(envelope, content);
  envelope.recipients[0].notify = {.present = true, .never = true};
  world->submit(envelope, content);
  world->submit("", {"a@x.example"}, content);
  world->pass(hours(6));
  for (const auto& delivery : notices_of(*world)) {
    EXPECT_EQ(delivery.offered.at(0), "a@x.example") << "only the mail without a sender itself";
  }
}

TEST_P(DelayNotices, N9_not_of_what_an_operator_holds_nor_of_bulk_mail) {
  const auto world = world_with(options());
  const QueueId held = world->submit("s@b.example", {"a@x.example"}, content).id;
  world->submit("s@b.example", {"a@x.example"}, "List-Id: <news>\r\n" + content);
  QueueSelector selector;
  selector.stored.ids = {held};
  world->wait(world->queue().apply(spool::Verb::hold, selector, "look", "test", false));
  world->pass(hours(6));
  EXPECT_EQ(count(*world), 0u);
}

TEST_P(DelayNotices, N9_of_bulk_mail_too_where_the_setting_says_so) {
  WorldOptions bulk = options();
  bulk.notify.delay_bulk = true;
  const auto world = world_with(bulk);
  world->submit("s@b.example", {"a@x.example"}, "Precedence: bulk\r\n" + content);
  world->pass(hours(6));
  EXPECT_EQ(count(*world), 1u);
}

TEST_P(DelayNotices, N9_no_notice_is_told_of_for_waiting) {
  const auto world = world_with(options());
  world->target().add({.start = refuse(550, "5.1.1", "no")});
  world->submit("s@unreachable.example", {"c@x.example"}, content);
  world->pass(hours(6));
  EXPECT_EQ(world->ids().size(), 1u) << "the notice, which waits";
  EXPECT_EQ(world->totals().accepted, 2u);
}

TEST_P(DelayNotices, N12_a_restart_tells_nothing_twice_and_forgets_nobody) {
  const auto world = world_with(options({hours(2), hours(4)}));
  world->submit("s@b.example", {"a@x.example"}, content);
  world->pass(hours(3));
  EXPECT_EQ(count(*world), 1u);
  world->restart();
  world->pass(std::chrono::minutes(30));
  EXPECT_EQ(count(*world), 1u);
  world->stop();
  world->clock().advance(hours(1));  // the second age passes while nobody looks
  world->start();
  world->pass(std::chrono::minutes(30));
  EXPECT_EQ(count(*world), 2u);
  world->restart();
  world->pass(hours(5));
  EXPECT_EQ(count(*world), 2u);
}

TEST_P(DelayNotices, N9_ages_that_passed_together_are_told_once) {
  const auto world = world_with(options({hours(2), hours(4)}));
  const QueueId id = world->submit("s@b.example", {"a@x.example"}, content).id;
  world->settle();
  world->stop();
  world->clock().advance(hours(10));
  world->start();
  world->pass(hours(1));
  EXPECT_EQ(count(*world), 1u);
  EXPECT_EQ(world->stored(id)->recipients[0].delay_notices, 2u);
  world->restart();
  world->pass(hours(1));
  EXPECT_EQ(count(*world), 1u);
}

TEST_P(DelayNotices, N9_a_reload_to_shorter_ages_is_not_waited_for) {
  const auto world = world_with(options());
  world->submit("s@b.example", {"a@x.example"}, content);
  world->pass(std::chrono::minutes(1));
  world->settings().notify.delay = {std::chrono::seconds(30)};
  world->reload();
  world->pass(std::chrono::seconds(5));
  EXPECT_EQ(count(*world), 1u);
}

TEST_P(DelayNotices, N9_the_ages_of_a_reload_hold_for_what_waits_already) {
  const auto world = world_with(options({}));
  world->submit("s@b.example", {"a@x.example"}, content);
  world->pass(hours(6));
  EXPECT_EQ(count(*world), 0u);
  world->settings().notify.delay = {hours(1)};
  world->reload();
  world->pass(hours(1));
  EXPECT_EQ(count(*world), 1u);
}

/// The engine's notices; before the first is written, something happens in the queue.
class InterferingBuilder final : public dsn::BounceBuilder {
 public:
  explicit InterferingBuilder(std::shared_ptr<std::function<void()>> before)
      : before_(std::move(before)) {}

  std::optional<dsn::Notice> build(const dsn::NoticeRequest& request) const override {
    if (const auto once = std::exchange(*before_, nullptr)) once();
    return own_->build(request);
  }

 private:
  std::shared_ptr<std::function<void()>> before_;
  std::unique_ptr<dsn::BounceBuilder> own_ = dsn::make_bounce_builder();
};

TEST_P(DelayNotices, N9_an_outcome_that_comes_between_silences_only_its_own_recipient) {
  struct NobodyAsks final : spool::CompletionSink {
    void completed(std::vector<spool::Answer> /*answers*/) override {}
  } nobody;

  const auto before = std::make_shared<std::function<void()>>();
  WorldOptions interfering = options();
  interfering.bounce_builder = [before] { return std::make_unique<InterferingBuilder>(before); };
  const auto world = world_with(interfering);
  const QueueId id = world->submit("s@b.example", {"a@x.example", "b@x.example"}, content).id;
  *before = [&] {
    spool::Settle settle;
    settle.id = id;
    settle.at = world->clock().now();
    settle.outcomes.resize(1);
    settle.outcomes[0].recipient = 1;
    settle.outcomes[0].disposition.outcome = Outcome::delivered;
    std::vector<spool::Request> requests(1);
    requests[0] = spool::Request(0, std::move(settle));
    world->spool().submit(std::move(requests), nobody);
  };
  world->pass(hours(5));
  ASSERT_EQ(count(*world), 1u);
  const std::string text = notices_of(*world)[0].content;
  EXPECT_THAT(text, HasSubstr("Final-Recipient: rfc822; a@x.example"));
  EXPECT_THAT(text, Not(HasSubstr("b@x.example")));
}

TEST_P(DelayNotices, N9_of_mail_that_lay_in_the_maildrop_for_hours_too) {
  const auto world = world_with(options());
  world->submit("s@b.example", {"a@x.example"}, "List-Id: <news>\r\n" + content);
  world->pass(hours(6));  // there is a cursor
  Submission submission;
  SeededRandom random(1);
  submission.id = IdSource(random).next(world->clock().now() - hours(5));
  submission.envelope.reverse_path = *Address::parse("s@b.example", false);
  submission.envelope.recipients.resize(1);
  Recipient& recipient = submission.envelope.recipients[0];
  recipient.address = recipient.original = *Address::parse("a@x.example", false);
  submission.content.octets = std::make_shared<const std::string>(content);
  ContentScanner scanner;
  scanner.feed(content);
  submission.content.facts = scanner.finish();
  ASSERT_EQ(world->wait(world->queue().admit(submission)).status, spool::Status::committed);
  world->pass(hours(6));
  EXPECT_EQ(count(*world), 1u);
}

INSTANTIATE_TEST_SUITE_P(Backends, DelayNotices, testing::Values(Backend::memory, Backend::file),
                         [](const auto& backend) { return to_text(backend.param); });

}  // namespace
}  // namespace mansio::acceptance
