// Notices as their readers get them, against the real queue: maddy's cases 15 to 18, slimta's case
// 40, and the rules of RFC 3461 to 3464 that concern when one is sent and to whom. What a notice
// looks like inside is tested in src/dsn.
#include <set>

#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

using fake::refuse;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

constexpr DsnNotify never{.present = true, .never = true};
constexpr DsnNotify success{.present = true, .success = true};

const Disposition no_such_user = refuse(550, "5.1.1", "no such user");

Envelope envelope(const std::string& sender, const std::vector<std::string>& recipients,
                  const DsnNotify& notify = {}) {
  Envelope made;
  if (!sender.empty()) made.reverse_path = *Address::parse(sender, true);
  for (const std::string& text : recipients) {
    Recipient recipient;
    recipient.address = *Address::parse(text, true);
    recipient.original = recipient.address;
    recipient.notify = notify;
    made.recipients.push_back(std::move(recipient));
  }
  return made;
}

const std::string content = "From: s@b.example\r\nSubject: Offer\r\n\r\nThe body.\r\n";

std::vector<fake::RecordedDelivery> notices_of(World& world) {
  auto all = world.target().deliveries();
  std::erase_if(all, [](const auto& delivery) { return !delivery.reverse_path.is_null(); });
  return all;
}

std::uint64_t suppressed(World& world, const std::string& reason) {
  const QueueStatistics statistics = world.wait(world.queue().statistics());
  for (const auto& [name, count] : statistics.notices_suppressed) {
    if (name == reason) return count;
  }
  ADD_FAILURE() << "no such reason: " << reason;
  return 0;
}

/// Until the last recipient had its first try; the spool may take its time, the clock stands still.
void wait_for_first_try(World& world, const QueueId& id) {
  for (int i = 0; i < 500; ++i) {
    const auto stored = world.stored(id);
    if (stored && stored->recipients.back().tries > 0) return;
    world.settle();
  }
  ADD_FAILURE() << "it was never tried";
}

class NoticeCase : public testing::TestWithParam<Backend> {
 protected:
  WorldOptions options() const { return {GetParam(), immediate_retries(5), 1}; }
};

TEST_P(NoticeCase, maddy_15_all_permanent_tells_the_sender_with_the_null_path) {
  World world(options());
  world.target().add(
      {.recipients = {{"a@x.example", no_such_user}, {"b@x.example", no_such_user}}});
  world.submit("s@b.example", {"a@x.example", "b@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u) << "one notice for both";
  EXPECT_TRUE(notices[0].committed);
  EXPECT_THAT(notices[0].offered, ElementsAre("s@b.example"));
  EXPECT_THAT(notices[0].content, HasSubstr("Final-Recipient: rfc822; a@x.example\r\n"));
  EXPECT_THAT(notices[0].content, HasSubstr("Final-Recipient: rfc822; b@x.example\r\n"));
  EXPECT_TRUE(world.ids().empty());
}

TEST_P(NoticeCase, maddy_16_R35_N1_nobody_is_told_of_mail_without_a_sender) {
  World world(options());
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.submit(envelope("", {"a@x.example"}, {.present = true, .success = true, .failure = true}),
               content);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 1u);
  EXPECT_TRUE(world.ids().empty());
  EXPECT_EQ(suppressed(world, "null_path"), 1u);
}

TEST_P(NoticeCase, maddy_17_N5_a_notice_that_is_refused_is_the_last) {
  World world(options());
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.target().set_default({.start = refuse(550, "5.7.1", "notices are not welcome")});
  world.submit("s@b.example", {"a@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(world.target().size(), 2u);
  EXPECT_EQ(notices_of(world).size(), 1u);
  EXPECT_EQ(world.totals().failed, 2u);
  EXPECT_EQ(suppressed(world, "about_notice"), 1u);
}

TEST_P(NoticeCase, maddy_18_rewritten_recipients_are_named_as_the_client_named_them) {
  World world(options());
  Envelope rewritten = envelope("s@b.example", {"alias@x.example"});
  rewritten.recipients[0].address = *Address::parse("secret@inside.example", false);
  world.target().add({.recipients = {{"secret@inside.example", no_such_user}}});
  world.submit(std::move(rewritten), content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].content, HasSubstr("Final-Recipient: rfc822; alias@x.example\r\n"));
  EXPECT_THAT(notices[0].content, Not(HasSubstr("secret")));
}

TEST_P(NoticeCase, N2_NEVER_is_obeyed_for_its_recipient_alone) {
  World world(options());
  Envelope mixed = envelope("s@b.example", {"a@x.example", "b@x.example"});
  mixed.recipients[0].notify = never;
  world.target().add(
      {.recipients = {{"a@x.example", no_such_user}, {"b@x.example", no_such_user}}});
  world.submit(std::move(mixed), content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].content, Not(HasSubstr("a@x.example")));
  EXPECT_EQ(suppressed(world, "never"), 1u);
}

TEST_P(NoticeCase, N4_success_is_told_as_delivered_at_the_end_of_the_way) {
  World world(options());
  world.submit(envelope("s@b.example", {"a@x.example"}, success), content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].content, HasSubstr("\r\nAction: delivered\r\n"));
  EXPECT_THAT(notices[0].content, HasSubstr("\r\nStatus: 2.0.0\r\n"));
}

TEST_P(NoticeCase, N4_success_is_told_as_relayed_where_the_next_hop_has_no_DSN) {
  WorldOptions relaying = options();
  relaying.channel_type = "smtp";
  World world(relaying);
  world.submit(envelope("s@b.example", {"a@x.example"}, success), content);
  world.submit("s@b.example", {"b@x.example"}, content);  // did not ask
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].content, HasSubstr("\r\nAction: relayed\r\n"));
}

TEST_P(NoticeCase, N4_who_took_over_the_duty_to_report_reports) {
  WorldOptions relaying = options();
  relaying.channel_type = "smtp";
  World world(relaying);
  Disposition taken = fake::accept();
  taken.peer_has_dsn = true;
  world.target().set_default({.statuses = std::vector{taken}});
  world.submit(envelope("s@b.example", {"a@x.example"}, success), content);
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_THAT(notices_of(world), IsEmpty());
}

TEST_P(NoticeCase, N8_one_round_with_different_ends_makes_one_notice) {
  World world(options());
  const DsnNotify both{.present = true, .success = true, .failure = true};
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.submit(envelope("s@b.example", {"a@x.example", "b@x.example"}, both), content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].content, HasSubstr("\r\nAction: failed\r\n"));
  EXPECT_THAT(notices[0].content, HasSubstr("\r\nAction: delivered\r\n"));
}

TEST_P(NoticeCase, N5_its_envelope_and_its_lane_are_those_of_a_notice) {
  World world(options());
  Envelope asking = envelope("s@b.example", {"a@x.example"});
  asking.dsn_return = DsnReturn::full;
  asking.envelope_id = "QQ314159";
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.target().set_default({.start = refuse(451, "4.3.2", "later")});
  world.settings().retry.min = world.settings().retry.max = std::chrono::hours(1);
  world.reload();
  world.submit(std::move(asking), content);
  world.pass(std::chrono::seconds(1));
  const auto ids = world.ids();
  ASSERT_EQ(ids.size(), 1u);
  const auto stored = world.stored(ids[0]);
  const Message& notice = stored->message;
  EXPECT_TRUE(notice.is_notice);
  EXPECT_TRUE(notice.envelope.reverse_path.is_null());
  EXPECT_EQ(notice.envelope.recipients.at(0).notify, never);
  EXPECT_EQ(notice.envelope.dsn_return, DsnReturn::unspecified);
  EXPECT_EQ(notice.envelope.envelope_id, "");
  EXPECT_EQ(notice.lanes.at(0), (LaneKey{"b.example", "notices"}));
  EXPECT_EQ(notice.expires_at - notice.accepted_at, Duration(std::chrono::hours(24)));
}

TEST_P(NoticeCase, N5_notices_have_few_connections_of_their_own) {
  WorldOptions narrow = options();
  narrow.notify.connections = 2;
  World world(narrow);
  fake::ScriptedAttempt attempt;
  std::vector<std::string> recipients;
  for (int i = 0; i < 6; ++i) {
    recipients.push_back("r" + std::to_string(i) + "@x.example");
    attempt.recipients[recipients.back()] = no_such_user;
  }
  Event go_on(world.context().get_executor());
  bool open = false;
  attempt.before_body_answer = [&]() -> Task<void> {  // the notices wait here
    while (!open) co_await go_on.wait();
  };
  world.target().set_default(attempt);
  for (const std::string& recipient : recipients) world.submit("s@b.example", {recipient}, content);
  world.pass(std::chrono::seconds(1));
  std::uint32_t sessions = 0;
  for (const LaneStatus& lane : world.wait(world.queue().lanes())) {
    if (lane.lane == LaneKey{"b.example", "notices"}) sessions = lane.sessions;
  }
  EXPECT_EQ(sessions, 2u);
  open = true;
  go_on.notify_all();
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(notices_of(world).size(), 6u);
}

TEST_P(NoticeCase, R36_the_null_path_stays_null_on_its_way) {
  World world(options());
  world.submit("", {"a@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  ASSERT_EQ(world.target().size(), 1u);
  EXPECT_TRUE(world.target().deliveries()[0].reverse_path.is_null());
}

TEST_P(NoticeCase, R38_a_notice_goes_to_the_last_hop_of_a_source_route) {
  World world(options());
  Envelope routed = envelope("", {"a@x.example"});
  routed.reverse_path = parse_path("<@one.example,@two.example:s@b.example>", false)->address;
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.submit(std::move(routed), content);
  ASSERT_TRUE(world.run_until_empty());
  ASSERT_EQ(notices_of(world).size(), 1u);
  EXPECT_THAT(notices_of(world)[0].offered, ElementsAre("s@b.example"));
}

TEST_P(NoticeCase, R86_R87_a_notice_is_a_report_that_no_robot_answers) {
  World world(options());
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.submit("s@b.example", {"a@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  const std::string text = notices_of(world).at(0).content;
  EXPECT_THAT(text, HasSubstr("\r\nAuto-Submitted: auto-replied\r\n"));
  EXPECT_THAT(text, HasSubstr("multipart/report; report-type=delivery-status;"));
  for (const char* part :
       {"text/plain; charset=utf-8", "message/delivery-status", "text/rfc822-headers"}) {
    EXPECT_THAT(text, HasSubstr("\r\nContent-Type: " + std::string(part) + "\r\n"));
  }
}

TEST_P(NoticeCase, N11_the_text_lists_the_last_tries_of_many) {
  World world(options());
  for (int i = 1; i <= 4; ++i) {
    world.target().add({.start = refuse(451, "4.3.2", "answer " + std::to_string(i))});
  }
  world.target().add({.start = refuse(550, "5.1.1", "answer 5")});
  world.submit("s@b.example", {"a@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  const std::string text = notices_of(world).at(0).content;
  EXPECT_THAT(text, HasSubstr("5 tries"));
  EXPECT_THAT(text, HasSubstr("The last 5 tries:"));
  for (int i = 1; i <= 5; ++i) EXPECT_THAT(text, HasSubstr("answer " + std::to_string(i)));
  EXPECT_THAT(text, HasSubstr("Diagnostic-Code: smtp; 550 5.1.1 answer 5\r\n"));
}

TEST_P(NoticeCase, N12_an_operator_who_bounces_twice_is_one_notice) {
  World world(options());
  world.settings().retry.min = world.settings().retry.max = std::chrono::hours(1);
  world.reload();
  world.target().add({.start = refuse(451, "4.3.2", "later")});
  const QueueId id = world.submit("s@b.example", {"a@x.example"}, content).id;
  wait_for_first_try(world, id);
  QueueSelector selector;
  selector.stored.ids = {id};
  for (int i = 0; i < 2; ++i) {
    world.wait(world.queue().apply(spool::Verb::fail, selector, "gone", "test", false));
  }
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(notices_of(world).size(), 1u);
  world.restart();
  ASSERT_TRUE(world.run_until_empty());
  EXPECT_EQ(notices_of(world).size(), 1u);
}

TEST_P(NoticeCase, N8_more_than_a_hundred_recipients_make_another_notice) {
  World world(options());
  world.settings().retry.min = world.settings().retry.max = std::chrono::hours(1);
  world.reload();
  std::vector<std::string> recipients;
  for (int i = 0; i < 150; ++i) recipients.push_back("r" + std::to_string(i) + "@x.example");
  for (int i = 0; i < 2; ++i) world.target().add({.start = refuse(451, "4.3.2", "later")});
  const QueueId id = world.submit("s@b.example", recipients, content).id;
  wait_for_first_try(world, id);
  QueueSelector selector;
  selector.stored.ids = {id};
  const BulkResult result =
      world.wait(world.queue().apply(spool::Verb::fail, selector, "gone", "test", false));
  EXPECT_EQ(result.changed, 150u);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 2u);
  std::set<std::string> named;
  for (const auto& notice : notices) {
    for (const std::string& recipient : recipients) {
      if (notice.content.find("Final-Recipient: rfc822; " + recipient + "\r\n") ==
          std::string::npos) {
        continue;
      }
      EXPECT_TRUE(named.insert(recipient).second) << recipient;
    }
  }
  EXPECT_EQ(named.size(), 150u);
}

TEST_P(NoticeCase, N9_what_a_notice_says_of_itself_is_in_the_history) {
  World world(options());
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  const QueueId id = world.submit("s@b.example", {"a@x.example"}, content).id;
  ASSERT_TRUE(world.run_until_empty());
  const auto history = world.history(id);
  EXPECT_TRUE(std::ranges::any_of(history, [](const spool::HistoryEntry& entry) {
    return entry.kind == spool::EventKind::notice;
  }));
}

// ---- the postmaster ---------------------------------------------------------------------------

TEST_P(NoticeCase, ThePostmasterGetsACopyOfEachFailureAndNothingOfItComesBack) {
  WorldOptions copying = options();
  copying.notify.postmaster = "pm@b.example";
  copying.notify.double_bounce = true;
  World world(copying);
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  world.target().set_default(
      {.recipients = {{"pm@b.example", refuse(550, "5.1.1", "no postmaster here")}}});
  Envelope asking = envelope("s@b.example", {"a@x.example"});
  asking.dsn_return = DsnReturn::full;
  world.submit(std::move(asking), content);
  ASSERT_TRUE(world.run_until_empty());
  const auto notices = notices_of(world);
  ASSERT_EQ(notices.size(), 2u);
  std::vector<std::string> to;
  for (const auto& notice : notices) to.push_back(notice.offered.at(0));
  EXPECT_THAT(to, testing::UnorderedElementsAre("s@b.example", "pm@b.example"));
  EXPECT_EQ(world.totals().accepted, 3u) << "nobody is told that the copy failed";
}

TEST_P(NoticeCase, ACopyHasTheHeaderOnlyAndNoneIsMadeOfADelayOrSuccess) {
  WorldOptions copying = options();
  copying.notify.postmaster = "pm@b.example";
  World world(copying);
  world.target().add({.recipients = {{"a@x.example", no_such_user}}});
  Envelope asking = envelope("s@b.example", {"a@x.example"});
  asking.dsn_return = DsnReturn::full;
  world.submit(std::move(asking), content);
  world.submit(envelope("s@b.example", {"b@x.example"}, success), content);
  ASSERT_TRUE(world.run_until_empty());
  std::size_t copies = 0;
  for (const auto& notice : notices_of(world)) {
    if (notice.offered.at(0) != "pm@b.example") continue;
    ++copies;
    EXPECT_THAT(notice.content, HasSubstr("Postmaster copy"));
    EXPECT_THAT(notice.content, HasSubstr("Subject: Offer"));
    EXPECT_THAT(notice.content, Not(HasSubstr("The body.")));
  }
  EXPECT_EQ(copies, 1u);
}

TEST_P(NoticeCase, N5_a_notice_that_fails_goes_to_the_postmaster_once) {
  WorldOptions doubling = options();
  doubling.notify.postmaster = "pm@b.example";
  doubling.notify.double_bounce = true;
  World world(doubling);
  world.target().set_default({.start = refuse(550, "5.7.1", "nothing is welcome")});
  world.submit("s@b.example", {"a@x.example"}, content);
  ASSERT_TRUE(world.run_until_empty());
  // The message, its notice, the copy, and the notice's notice: all refused, and then silence.
  EXPECT_EQ(world.totals().accepted, 4u);
  EXPECT_EQ(world.totals().failed, 4u);
  std::size_t to_postmaster = 0;
  for (const auto& delivery : world.target().deliveries()) {
    to_postmaster += delivery.envelope.recipients.at(0).address.to_string() == "pm@b.example";
  }
  EXPECT_EQ(to_postmaster, 2u);
}

// ---- builders of a site -----------------------------------------------------------------------

/// A site's builder: its own words in its own form, and an attempt to answer everybody.
class SiteBuilder final : public dsn::BounceBuilder {
 public:
  enum class Mood { writes, declines, throws, forgets };

  explicit SiteBuilder(Mood mood) : mood_(mood) {}

  std::optional<dsn::Notice> build(const dsn::NoticeRequest& request) const override {
    if (mood_ == Mood::throws) throw std::runtime_error("the template is broken");
    if (mood_ == Mood::declines) return std::nullopt;
    dsn::Notice notice;
    if (mood_ == Mood::forgets) return notice;
    notice.message.envelope.reverse_path = *Address::parse("support@b.example", false);
    Recipient everybody;
    everybody.address = *Address::parse("all@b.example", false);
    notice.message.envelope.recipients = {everybody, everybody};
    notice.message.content.octets = std::make_shared<const std::string>(
        "Subject: Sorry, " + request.to.to_string() + "\n\nIt did not work.\nYours");
    return notice;
  }

 private:
  Mood mood_;
};

class SiteNotices : public NoticeCase {
 protected:
  std::vector<fake::RecordedDelivery> notices_with(SiteBuilder::Mood mood) {
    WorldOptions own = options();
    own.bounce_builder = [mood] { return std::make_unique<SiteBuilder>(mood); };
    world_ = std::make_unique<World>(own);
    world_->target().add({.recipients = {{"a@x.example", no_such_user}}});
    world_->submit("s@b.example", {"a@x.example"}, content);
    EXPECT_TRUE(world_->run_until_empty());
    return notices_of(*world_);
  }

  std::unique_ptr<World> world_;
};

TEST_P(SiteNotices, slimta_40_a_builder_of_the_site_writes_and_the_engine_addresses) {
  const auto notices = notices_with(SiteBuilder::Mood::writes);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0].offered, ElementsAre("s@b.example"));
  EXPECT_TRUE(notices[0].reverse_path.is_null());
  EXPECT_EQ(notices[0].envelope.recipients.at(0).notify, never);
  EXPECT_EQ(notices[0].content, "Subject: Sorry, s@b.example\r\n\r\nIt did not work.\r\nYours\r\n");
}

TEST_P(SiteNotices, slimta_40_a_builder_may_decline) {
  EXPECT_THAT(notices_with(SiteBuilder::Mood::declines), IsEmpty());
  EXPECT_EQ(suppressed(*world_, "builder"), 1u);
}

TEST_P(SiteNotices, slimta_40_a_builder_that_fails_is_replaced) {
  for (const auto mood : {SiteBuilder::Mood::throws, SiteBuilder::Mood::forgets}) {
    const auto notices = notices_with(mood);
    ASSERT_EQ(notices.size(), 1u);
    EXPECT_THAT(notices[0].content, HasSubstr("message/delivery-status"));
  }
}

TEST_P(NoticeCase, slimta_40_the_whole_body_or_the_headers_only) {
  for (const auto wanted : {DsnReturn::full, DsnReturn::headers}) {
    World world(options());
    Envelope asking = envelope("s@b.example", {"a@x.example"});
    asking.dsn_return = wanted;
    world.target().add({.recipients = {{"a@x.example", no_such_user}}});
    world.submit(std::move(asking), content);
    ASSERT_TRUE(world.run_until_empty());
    const std::string text = notices_of(world).at(0).content;
    EXPECT_THAT(text, HasSubstr("Subject: Offer"));
    EXPECT_EQ(text.find("The body.") != std::string::npos, wanted == DsnReturn::full);
  }
}

const auto backends = testing::Values(Backend::memory, Backend::file);

INSTANTIATE_TEST_SUITE_P(Backends, NoticeCase, backends,
                         [](const auto& backend) { return to_text(backend.param); });
INSTANTIATE_TEST_SUITE_P(Backends, SiteNotices, backends,
                         [](const auto& backend) { return to_text(backend.param); });

}  // namespace
}  // namespace mansio::acceptance
