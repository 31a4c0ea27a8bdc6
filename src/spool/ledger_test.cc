#include "spool/ledger.h"

#include <gtest/gtest.h>

namespace mansio::spool {
namespace {

using namespace std::chrono_literals;

const Time start{1'772'000'000s};

Admit admit_for(const std::vector<std::string>& domains) {
  Admit admit;
  admit.message.id.octets[15] = 1;
  admit.message.content.id.octets[15] = 2;
  admit.message.content.facts.size = 100;
  admit.message.accepted_at = start;
  for (const std::string& domain : domains) {
    Recipient recipient;
    recipient.address = {"user", domain};
    admit.message.envelope.recipients.push_back(recipient);
    admit.message.lanes.push_back({domain, "default"});
    admit.due.push_back(start);
  }
  return admit;
}

std::shared_ptr<StoredMessage> admitted(const std::vector<std::string>& domains) {
  std::shared_ptr<StoredMessage> state;
  spool::apply(Operation(admit_for(domains)), state);
  return state;
}

RecipientOutcome outcome(std::uint32_t recipient, Outcome what, Time next_due = {}) {
  RecipientOutcome result;
  result.recipient = recipient;
  result.disposition.outcome = what;
  result.next_due = next_due;
  return result;
}

Settle settle_of(std::vector<RecipientOutcome> outcomes) {
  Settle settle;
  settle.at = start + 1min;
  settle.outcomes = std::move(outcomes);
  return settle;
}

Change change_of(Verb verb, std::vector<std::uint32_t> recipients = {}) {
  Change change;
  change.verb = verb;
  change.at = start + 2min;
  change.due = start + 2min;
  change.recipients = std::move(recipients);
  return change;
}

TEST(Ledger, AnAdmitMakesOneDueEntryForEachLaneAndTime) {
  Admit admit = admit_for({"b", "a", "b", "b"});
  admit.due[3] = start + 1s;
  admit.message.content.octets = std::make_shared<const std::string>(100, 'x');
  std::shared_ptr<StoredMessage> state;
  const Applied applied = spool::apply(Operation(admit), state);
  EXPECT_TRUE(applied.created);
  EXPECT_FALSE(applied.finished);
  ASSERT_EQ(applied.due.size(), 3u);
  EXPECT_EQ(applied.due[0].flow.lane.destination, "a");
  EXPECT_EQ(applied.due[1].recipients, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(applied.due[2].recipients, (std::vector<std::uint32_t>{3}));
  EXPECT_EQ(applied.due[2].due, start + 1s);
  EXPECT_EQ(applied.before, Totals{});
  EXPECT_EQ(applied.after.queued, 4u);
  EXPECT_EQ(applied.after.octets, 100u);
  EXPECT_EQ(state->message.content.octets, nullptr);
}

TEST(Ledger, ASettleRewritesOnlyTheDueEntriesThatItChanged) {
  auto state = admitted({"a", "a", "b"});
  const Applied applied = spool::apply(
      Operation(
          settle_of({outcome(0, Outcome::delivered), outcome(1, Outcome::deferred, start + 1h)})),
      state);
  ASSERT_EQ(applied.due.size(), 2u);
  EXPECT_EQ(applied.due[0].due, start);
  EXPECT_TRUE(applied.due[0].recipients.empty());
  EXPECT_EQ(applied.due[1].due, start + 1h);
  EXPECT_EQ(applied.due[1].recipients, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(applied.touched, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(applied.events.size(), 2u);
}

TEST(Ledger, ATellingOfTheDelayChangesItsCountAndNothingElse) {
  std::shared_ptr<StoredMessage> state = admitted({"a", "a", "b"});
  spool::apply(Operation(settle_of({outcome(1, Outcome::delivered)})), state);
  spool::apply(Operation(change_of(Verb::hold, {2})), state);
  const std::shared_ptr<StoredMessage> before = state;
  Change told = change_of(Verb::report_delay);
  told.due = start + 9h;
  const Applied applied = spool::apply(Operation(told), state);
  EXPECT_EQ(applied.answer.changed, 2u);
  EXPECT_TRUE(applied.due.empty());
  EXPECT_EQ(applied.before, applied.after);
  EXPECT_FALSE(applied.finished);
  ASSERT_EQ(applied.events.size(), 2u);
  EXPECT_EQ(applied.events[0].entry.kind, EventKind::notice);
  EXPECT_EQ(applied.events[0].entry.recipient, 0u);
  EXPECT_EQ(applied.events[0].entry.next_due, start);
  for (const std::uint32_t index : {0u, 1u, 2u}) {
    RecipientStatus expected = before->recipients[index];
    if (index != 1) ++expected.delay_notices;
    EXPECT_EQ(state->recipients[index], expected);
  }
}

TEST(Ledger, ANoticeOfDelayIsRefusedIfARecipientThatItNamesHasItsOutcome) {
  std::shared_ptr<StoredMessage> state = admitted({"a", "a"});
  spool::apply(Operation(settle_of({outcome(1, Outcome::delivered)})), state);
  Change told = change_of(Verb::report_delay, {0, 1});
  told.notices.emplace_back();
  EXPECT_EQ(spool::apply(Operation(told), state).answer.status, Status::refused);
  EXPECT_EQ(state->recipients[0].delay_notices, 0u);
}

TEST(Ledger, SuspensionsAreReplacedByTheirPlaceAndBounded) {
  SuspensionTable table;
  const Suspension first{"x.example", "", start, {}, "why", "operator root"};
  Suspension second = first;
  second.until = start + 1h;
  EXPECT_EQ(suspend({first, false}, table).status, Status::committed);
  EXPECT_EQ(suspend({second, false}, table).status, Status::committed);
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table.begin()->second, second);
  Suspension bad = first;
  bad.destination.clear();
  EXPECT_EQ(suspend({bad, false}, table).status, Status::refused);
  bad = first;
  bad.reason = std::string(suspension_text_max + 1, 'x');
  EXPECT_EQ(suspend({bad, false}, table).status, Status::refused);
  bad = first;
  bad.binding = std::string("a\0b", 3);
  EXPECT_EQ(suspend({bad, false}, table).status, Status::refused);
  for (std::size_t i = 1; i < suspensions_max; ++i) {
    bad.binding = "b" + std::to_string(i);
    EXPECT_EQ(suspend({bad, false}, table).status, Status::committed);
  }
  bad.binding = "one more";
  EXPECT_EQ(suspend({bad, false}, table).status, Status::refused);
  EXPECT_EQ(suspend({first, false}, table).status, Status::committed);  // it is there already
  EXPECT_EQ(suspend({bad, true}, table).status, Status::missing);
  EXPECT_EQ(suspend({first, true}, table).status, Status::committed);
  EXPECT_EQ(suspend({first, true}, table).status, Status::missing);
}

TEST(Ledger, AStateThatReadersHoldIsNeverWrittenTo) {
  auto state = admitted({"a", "b"});
  const std::shared_ptr<const StoredMessage> held = state;
  spool::apply(Operation(settle_of({outcome(0, Outcome::delivered)})), state);
  EXPECT_EQ(held->recipients[0].state, RecipientState::queued);
  EXPECT_EQ(state->recipients[0].state, RecipientState::delivered);
  const std::shared_ptr<const StoredMessage> again = state;
  spool::apply(Operation(change_of(Verb::hold)), state);
  EXPECT_EQ(again->recipients[1].state, RecipientState::queued);
}

TEST(Ledger, ARefusalLeavesTheVeryState) {
  auto state = admitted({"a"});
  const auto before = state;
  EXPECT_EQ(spool::apply(Operation(settle_of({})), state).answer.status, Status::refused);
  EXPECT_EQ(spool::apply(Operation(settle_of({outcome(1, Outcome::failed)})), state).answer.status,
            Status::refused);
  EXPECT_EQ(spool::apply(Operation(change_of(Verb::hold, {1})), state).answer.status,
            Status::refused);
  const Applied nothing = spool::apply(Operation(change_of(Verb::release)), state);
  EXPECT_EQ(nothing.answer.status, Status::committed);
  EXPECT_EQ(nothing.answer.changed, 0u);
  EXPECT_TRUE(nothing.events.empty() && nothing.due.empty() && nothing.touched.empty());
  EXPECT_EQ(state, before);
}

TEST(Ledger, ARecipientNamedTwiceGetsOneOutcome) {
  auto state = admitted({"a"});
  const Applied applied =
      spool::apply(Operation(settle_of({outcome(0, Outcome::deferred, start + 1h),
                                        outcome(0, Outcome::deferred, start + 2h)})),
                   state);
  EXPECT_EQ(applied.answer.changed, 1u);
  EXPECT_NE(applied.answer.detail.find("named twice"), std::string::npos);
  EXPECT_EQ(state->recipients[0].tries, 1u);
  EXPECT_EQ(state->recipients[0].due, start + 1h);
  spool::apply(Operation(change_of(Verb::make_due, {0, 0, 0})), state);
  EXPECT_EQ(state->recipients[0].due, start + 2min);
}

TEST(Ledger, ADeferralEndsADoubtUnlessItIsTheDoubt) {
  auto state = admitted({"a", "b"});
  spool::apply(Operation(change_of(Verb::mark_in_doubt)), state);
  RecipientOutcome doubtful = outcome(0, Outcome::deferred, start + 1h);
  doubtful.disposition.in_doubt = true;
  spool::apply(Operation(settle_of({doubtful, outcome(1, Outcome::deferred, start + 1h)})), state);
  EXPECT_EQ(state->recipients[0].state, RecipientState::in_doubt);
  EXPECT_EQ(state->recipients[1].state, RecipientState::queued);
}

TEST(Ledger, TheLastOutcomeFinishesTheMessageOnce) {
  auto state = admitted({"a", "b"});
  EXPECT_FALSE(
      spool::apply(Operation(settle_of({outcome(1, Outcome::delivered)})), state).finished);
  const Applied last = spool::apply(Operation(change_of(Verb::fail)), state);
  EXPECT_TRUE(last.finished);
  EXPECT_EQ(last.answer.recipients_left, 0u);
  EXPECT_EQ(last.after.messages, 0u);
  EXPECT_TRUE(last.after.balanced());
  ASSERT_NE(state, nullptr);
  EXPECT_EQ(state->recipients[0].last.outcome, Outcome::failed);
  EXPECT_FALSE(spool::apply(Operation(change_of(Verb::remove)), state).finished);
}

TEST(Ledger, AThousandLanesAreOneOperationEach) {
  std::vector<std::string> domains;
  for (int i = 0; i < 1000; ++i) domains.push_back("d" + std::to_string(i) + ".example");
  auto state = admitted(domains);
  const Applied applied =
      spool::apply(Operation(settle_of({outcome(500, Outcome::delivered)})), state);
  ASSERT_EQ(applied.due.size(), 1u);
  EXPECT_EQ(applied.due[0].flow.lane.destination, "d500.example");
  EXPECT_EQ(due_entries(*state).size(), 999u);
}

TEST(Ledger, ReplayingTheSameOperationsGivesTheSameState) {
  const std::vector<Operation> operations{
      admit_for({"a", "b", "a"}),
      settle_of({outcome(0, Outcome::deferred, start + 1h), outcome(1, Outcome::delivered)}),
      change_of(Verb::hold, {2}), change_of(Verb::make_due), change_of(Verb::release)};
  std::shared_ptr<StoredMessage> first, second;
  std::size_t events = 0;
  for (const Operation& operation : operations)
    events += spool::apply(operation, first).events.size();
  for (const Operation& operation : operations) spool::apply(operation, second);
  EXPECT_EQ(first->recipients, second->recipients);
  EXPECT_EQ(contribution(first.get()), contribution(second.get()));
  EXPECT_EQ(events, 6u);
}

}  // namespace
}  // namespace mansio::spool
