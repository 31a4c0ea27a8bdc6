#include "queue/settlement.h"

#include <gtest/gtest.h>

namespace mansio::queue {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr Time now{hours(500'000)};
constexpr double exact = 0.5;

schedule::Entry entry(std::uint32_t tries, std::uint32_t retry_count,
                      Time expires_at = now + hours(100)) {
  schedule::Entry made;
  made.expires_at = expires_at;
  made.recipients = {{0, tries, retry_count}};
  return made;
}

Disposition deferral(bool counts = true, bool in_doubt = false) {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.reply.code = 451;
  disposition.counts_as_try = counts;
  disposition.in_doubt = in_doubt;
  return disposition;
}

spool::RecipientOutcome settle_one(const schedule::Entry& what, Disposition disposition,
                                   schedule::RetryOptions options = {}, bool hold_doubt = false) {
  const schedule::RetrySchedule retry(options);
  auto settlement = settle_attempt(what, {std::move(disposition)}, retry, now, exact, hold_doubt);
  return settlement.outcomes.at(0);
}

TEST(Settlement, ADeferralGrowsWithTheTriesThatCounted) {
  EXPECT_EQ(settle_one(entry(0, 0), deferral()).next_due, now + minutes(15));
  EXPECT_EQ(settle_one(entry(1, 1), deferral()).next_due, now + minutes(30));
  EXPECT_EQ(settle_one(entry(1, 40), deferral()).next_due, now + minutes(30))
      << "forty troubles of our own are no reason to wait longer";
}

TEST(Settlement, OurOwnTroubleIsTriedAgainSoonButLessAndLessOften) {
  EXPECT_EQ(settle_one(entry(0, 0), deferral(false)).next_due, now + minutes(1));
  EXPECT_EQ(settle_one(entry(0, 3), deferral(false)).next_due, now + minutes(8));
  EXPECT_EQ(settle_one(entry(2, 100), deferral(false)).next_due, now + minutes(15));
}

TEST(Settlement, TheLastTryFailsWithItsReply) {
  schedule::RetryOptions options;
  options.tries_max = 3;
  EXPECT_EQ(settle_one(entry(1, 1), deferral(), options).disposition.outcome, Outcome::deferred);
  const auto last = settle_one(entry(2, 2), deferral(), options);
  EXPECT_EQ(last.disposition.outcome, Outcome::failed);
  EXPECT_EQ(last.disposition.cause, Cause::tries);
  EXPECT_EQ(last.disposition.reply.code, 451);
  EXPECT_EQ(settle_one(entry(2, 2), deferral(false), options).disposition.outcome,
            Outcome::deferred)
      << "a local cause is no try";
}

TEST(Settlement, TheLifetimeEndsIt) {
  const auto over = settle_one(entry(1, 1, now - minutes(1)), deferral());
  EXPECT_EQ(over.disposition.outcome, Outcome::expired);
  EXPECT_EQ(over.disposition.cause, Cause::lifetime);
}

TEST(Settlement, ARecipientThatOnlyOurTroubleKeptWaitingHasADayMore) {
  EXPECT_EQ(settle_one(entry(0, 9, now - hours(23)), deferral(false)).disposition.outcome,
            Outcome::deferred);
  EXPECT_EQ(settle_one(entry(0, 9, now - hours(25)), deferral(false)).disposition.outcome,
            Outcome::expired);
}

TEST(Settlement, WhatIsHeldInDoubtNeverEndsByItself) {
  schedule::RetryOptions options;
  options.tries_max = 1;
  const auto held = settle_one(entry(5, 5, now - hours(9)), deferral(true, true), options, true);
  EXPECT_EQ(held.disposition.outcome, Outcome::deferred);
  const auto resent = settle_one(entry(5, 5), deferral(true, true), options, false);
  EXPECT_EQ(resent.disposition.outcome, Outcome::failed);
}

TEST(Settlement, AMissingStatusIsADeferralAndAFault) {
  const schedule::RetrySchedule retry({});
  schedule::Entry two = entry(0, 0);
  two.recipients.push_back({1, 0, 0});
  Disposition delivered;
  delivered.outcome = Outcome::delivered;
  const Settlement settlement = settle_attempt(two, {delivered}, retry, now, exact, false);
  EXPECT_EQ(settlement.faults, 1u);
  ASSERT_EQ(settlement.outcomes.size(), 2u);
  EXPECT_EQ(settlement.outcomes[0].disposition.outcome, Outcome::delivered);
  EXPECT_EQ(settlement.outcomes[1].disposition.outcome, Outcome::deferred);
  EXPECT_EQ(settlement.outcomes[1].disposition.cause, Cause::missing);
  EXPECT_FALSE(settlement.outcomes[1].disposition.counts_as_try);
}

TEST(Settlement, GivingUpKeepsTheLastReply) {
  const Disposition over = give_up(deferral(), Cause::lifetime);
  EXPECT_EQ(over.outcome, Outcome::expired);
  EXPECT_EQ(over.reply.code, 451);
  EXPECT_FALSE(over.counts_as_try);
  EXPECT_EQ(give_up({}, Cause::tries).outcome, Outcome::failed);
  EXPECT_FALSE(give_up({}, Cause::tries).reply.text.empty());
}

}  // namespace
}  // namespace mansio::queue
