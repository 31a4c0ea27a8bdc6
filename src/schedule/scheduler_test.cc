// The scheduler against a model of the disk: what is committed there, and nothing else, comes back
// in pages. Times are minutes after an arbitrary start.
#include "schedule/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "schedule/schedule_test_kit.h"

namespace mansio::schedule {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Time at(int minute) { return start + minutes(minute); }

FlowKey flow(const std::string& destination = "a.example",
             PriorityClass klass = PriorityClass::normal) {
  return flow_to(destination, klass);
}

Entry entry(std::uint8_t number, Time due, std::uint32_t recipients = 1) {
  Entry made;
  made.place = {due, id_of(number)};
  made.expires_at = due + hours(100);
  for (std::uint32_t i = 0; i < recipients; ++i) made.recipients.push_back({i, 0, 0});
  auto message = std::make_shared<Message>();
  message->id = id_of(number);
  made.message = message;
  return made;
}

template <class T>
std::vector<T> only(const std::vector<Action>& actions) {
  std::vector<T> found;
  for (const Action& action : actions) {
    if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
  }
  return found;
}

std::vector<std::uint8_t> take_all(Scheduler& scheduler, const FlowKey& key, Time now) {
  std::vector<std::uint8_t> numbers;
  while (auto taken = scheduler.take(key.lane, 0, now)) {
    numbers.push_back(taken->second.place.id.octets[15]);
    scheduler.finished(taken->first, taken->second.place, now);
  }
  return numbers;
}

/// Answers the page that the scheduler asks for, which must be the only one; the other actions.
std::vector<Action> answer_page(Scheduler& scheduler, std::vector<Entry> entries, Time now) {
  const auto loads = only<LoadPage>(scheduler.take_actions());
  EXPECT_EQ(loads.size(), 1u);
  if (loads.empty()) return {};
  scheduler.page_loaded(loads[0].flow, std::move(entries), true, now);
  return scheduler.take_actions();
}

TEST(SchedulerTimer, maddy_19_an_entry_comes_after_its_time) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(5), id_of(1)}, at(0));
  EXPECT_EQ(scheduler.next_wakeup(), at(5));
  scheduler.tick(at(4));
  EXPECT_TRUE(scheduler.take_actions().empty());
  scheduler.tick(at(5));
  const auto loads = only<LoadPage>(scheduler.take_actions());
  ASSERT_EQ(loads.size(), 1u);
  EXPECT_FALSE(loads[0].after);
}

TEST(SchedulerTimer, maddy_20_entries_come_in_order_of_time) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(3, at(0) + seconds(3)), at(1));
  scheduler.add(flow(), entry(1, at(0) + seconds(1)), at(1));
  scheduler.add(flow(), entry(2, at(0) + seconds(2)), at(1));
  EXPECT_EQ(take_all(scheduler, flow(), at(1)), (std::vector<std::uint8_t>{1, 2, 3}));
}

TEST(SchedulerTimer, maddy_21_an_earlier_entry_added_later_comes_first) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(50), id_of(1)}, at(0));
  EXPECT_EQ(scheduler.next_wakeup(), at(50));
  scheduler.on_disk(flow(), {at(7), id_of(2)}, at(1));
  EXPECT_EQ(scheduler.next_wakeup(), at(7));
}

TEST(SchedulerTimer, maddy_22_a_far_entry_does_not_block_a_near_one) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(100'000), id_of(1)}, at(0));
  scheduler.add(flow(), entry(2, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
  EXPECT_EQ(take_all(scheduler, flow(), at(0)), (std::vector<std::uint8_t>{2}));
}

TEST(SchedulerTimer, maddy_23_an_entry_is_seen_after_the_queue_was_empty) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  take_all(scheduler, flow(), at(0));
  scheduler.session_ended(flow().lane, at(0));
  EXPECT_EQ(scheduler.lanes(), 0u) << "a lane without mail is freed";
  EXPECT_FALSE(scheduler.next_wakeup());
  scheduler.take_actions();
  scheduler.add(flow(), entry(2, at(9)), at(9));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, AnEntryThatIsNotDueStaysOnDisk) {
  Scheduler scheduler({});
  EXPECT_FALSE(scheduler.add(flow(), entry(1, at(60)), at(0)));
  EXPECT_EQ(scheduler.window_entries(), 0u);
  EXPECT_EQ(scheduler.next_wakeup(), at(60));
}

TEST(Scheduler, AFullWindowLeavesTheRestOnDisk) {
  SchedulerOptions options;
  options.window = 2;
  Scheduler scheduler(options);
  EXPECT_TRUE(scheduler.add(flow(), entry(1, at(0)), at(0)));
  EXPECT_TRUE(scheduler.add(flow(), entry(2, at(0)), at(0)));
  EXPECT_FALSE(scheduler.add(flow(), entry(3, at(0)), at(0)));
  scheduler.take_actions();
  ASSERT_TRUE(scheduler.take(flow().lane, 0, at(0)));
  EXPECT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u) << "room again: the disk is read";
}

TEST(Scheduler, AHigherClassAlwaysEnters) {
  SchedulerOptions options;
  options.window = 1;
  Scheduler scheduler(options);
  scheduler.add(flow("a.example", PriorityClass::low), entry(1, at(0)), at(0));
  EXPECT_TRUE(scheduler.add(flow("a.example", PriorityClass::high), entry(2, at(0)), at(0)));
  EXPECT_EQ(take_all(scheduler, flow(), at(0)), (std::vector<std::uint8_t>{2, 1}));
}

TEST(Scheduler, APageNeverBringsBackWhatWasFinishedMeanwhile) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  auto taken = scheduler.take(flow().lane, 0, at(0));
  ASSERT_TRUE(taken);
  scheduler.on_disk(flow(), {at(0), id_of(2)}, at(0));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  scheduler.finished(flow(), taken->second.place, at(0));
  // The page was read before the outcome was committed: it still has entry 1.
  scheduler.page_loaded(flow(), {entry(1, at(0)), entry(2, at(0))}, true, at(0));
  EXPECT_EQ(take_all(scheduler, flow(), at(0)), (std::vector<std::uint8_t>{2}));
}

TEST(Scheduler, WhatIsNotedWhileAPageIsUnderWayIsNotLost) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(5)}, at(0));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  scheduler.on_disk(flow(), {at(0), id_of(2)}, at(0));
  scheduler.page_loaded(flow(), {entry(5, at(0))}, true, at(0));
  const auto loads = only<LoadPage>(scheduler.take_actions());
  ASSERT_EQ(loads.size(), 1u) << "the page did not have it";
  EXPECT_TRUE(!loads[0].after || *loads[0].after < (DueCursor{at(0), id_of(2)}));
}

TEST(Scheduler, SplitsAnEntryOverTransactions) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0), 5), at(0));
  auto first = scheduler.take(flow().lane, 2, at(0));
  auto second = scheduler.take(flow().lane, 2, at(0));
  auto third = scheduler.take(flow().lane, 2, at(0));
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(first->second.recipients.size() + second->second.recipients.size() +
                third->second.recipients.size(),
            5u);
  EXPECT_FALSE(scheduler.take(flow().lane, 2, at(0)));
  EXPECT_EQ(scheduler.entries_in_flight(), 3u);
  scheduler.put_back(flow(), second->second, at(0));
  scheduler.finished(flow(), first->second.place, at(0));
  scheduler.finished(flow(), third->second.place, at(0));
  auto again = scheduler.take(flow().lane, 0, at(0));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->second.recipients, second->second.recipients);
}

TEST(Scheduler, ALaneInTroubleIsLeftAloneUntilItsTime) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  scheduler.take_actions();
  scheduler.lane_troubled(flow().lane, {}, at(5), at(0));
  scheduler.session_ended(flow().lane, at(0));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  EXPECT_FALSE(scheduler.has_work(flow().lane, at(1)));
  EXPECT_EQ(scheduler.next_wakeup(), at(5));
  EXPECT_EQ(scheduler.window_entries(), 0u) << "it waits on disk";
  EXPECT_EQ(scheduler.view(flow().lane, at(1))->failures, 1u);
  scheduler.tick(at(5));
  EXPECT_EQ(only<OpenSession>(answer_page(scheduler, {entry(1, at(0))}, at(5))).size(), 1u);
  EXPECT_EQ(scheduler.view(flow().lane, at(5))->failures, 1u);
}

TEST(Scheduler, AnOperatorRousesALaneThatRests) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  scheduler.take_actions();
  scheduler.lane_troubled(flow().lane, {}, at(5), at(0));
  scheduler.session_ended(flow().lane, at(0));
  scheduler.end_rest(flow().lane, at(1));
  EXPECT_EQ(only<OpenSession>(answer_page(scheduler, {entry(1, at(0))}, at(1))).size(), 1u);
  scheduler.lane_troubled(flow().lane, {}, at(9), at(1));
  EXPECT_EQ(scheduler.failures(flow().lane), 2u) << "it is still the same trouble";
}

/// Options under which a.example is suspended until then.
SchedulerOptions suspended_until(Time until) {
  SchedulerOptions options;
  options.lane_options = [until](const LaneKey& lane) {
    return LaneOptions{32, lane.destination == "a.example" ? until : Time{}};
  };
  return options;
}

TEST(Scheduler, ASuspendedLaneHandsNothingOutAndWakesExactlyAtItsTime) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
  EXPECT_TRUE(scheduler.has_work(flow().lane, at(0)));
  scheduler.set_options(suspended_until(at(10)), at(0));
  EXPECT_FALSE(scheduler.has_work(flow().lane, at(0)));
  EXPECT_FALSE(scheduler.take(flow().lane, 0, at(0)));
  scheduler.session_ended(flow().lane, at(0));
  scheduler.add(flow(), entry(2, at(1)), at(1));
  scheduler.add(flow("b.example"), entry(3, at(1)), at(1));
  const auto opened = only<OpenSession>(scheduler.take_actions());
  ASSERT_EQ(opened.size(), 1u);
  EXPECT_EQ(opened[0].lane.destination, "b.example");
  EXPECT_EQ(take_all(scheduler, flow("b.example"), at(1)), std::vector<std::uint8_t>{3});
  EXPECT_EQ(scheduler.view(flow().lane, at(1))->suspended_until, at(10));
  scheduler.tick(at(10) - Duration(1));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  EXPECT_EQ(scheduler.next_wakeup(), at(10));
  scheduler.tick(at(10));
  EXPECT_EQ(
      only<OpenSession>(answer_page(scheduler, {entry(1, at(0)), entry(2, at(1))}, at(10))).size(),
      1u);
  EXPECT_EQ(scheduler.view(flow().lane, at(10))->suspended_until, Time{});
  EXPECT_EQ(take_all(scheduler, flow(), at(10)), (std::vector<std::uint8_t>{1, 2}));
}

TEST(Scheduler, NeitherARetryNorASuccessEndsASuspension) {
  Scheduler scheduler(suspended_until(Time::max()));
  scheduler.add(flow(), entry(1, at(0)), at(0));
  scheduler.end_rest(flow().lane, at(0));
  scheduler.on_disk(flow(), {at(0), id_of(2)}, at(0));
  scheduler.lane_recovered(flow().lane, at(0));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  EXPECT_FALSE(scheduler.take(flow().lane, 0, at(0)));
  scheduler.tick(at(1000));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  scheduler.set_options({}, at(1000));
  EXPECT_EQ(only<OpenSession>(answer_page(scheduler, {entry(1, at(0))}, at(1000))).size(), 1u);
}

TEST(Scheduler, ASuspendedLaneKeepsNothingInMemory) {
  Scheduler scheduler({});
  for (std::uint8_t number = 0; number < 100; ++number) {
    scheduler.add(flow(), entry(number, at(0)), at(0));
  }
  scheduler.set_options(suspended_until(Time::max()), at(0));
  EXPECT_EQ(scheduler.window_entries(), 0u);
  for (std::size_t open = only<OpenSession>(scheduler.take_actions()).size(); open > 0; --open) {
    scheduler.session_ended(flow().lane, at(0));
  }
  for (std::uint8_t number = 100; number < 200; ++number) {
    EXPECT_FALSE(scheduler.add(flow(), entry(number, at(0)), at(0)));
  }
  EXPECT_EQ(scheduler.window_entries(), 0u);
  EXPECT_EQ(scheduler.lanes(), 0u);
  EXPECT_EQ(scheduler.sleeping_lanes(), 1u);
  EXPECT_FALSE(scheduler.next_wakeup());
  EXPECT_TRUE(only<LoadPage>(scheduler.take_actions()).empty());
}

TEST(Scheduler, LifetimesEndInATroubledLaneToo) {
  Scheduler scheduler({});
  Entry short_lived = entry(1, at(0));
  short_lived.expires_at = at(3);
  scheduler.add(flow(), std::move(short_lived), at(0));
  scheduler.lane_troubled(flow().lane, {}, at(5), at(0));
  scheduler.session_ended(flow().lane, at(0));
  scheduler.take_actions();
  scheduler.tick(at(5));
  short_lived = entry(1, at(0));
  short_lived.expires_at = at(3);
  const auto given_up = only<GiveUp>(answer_page(scheduler, {short_lived, entry(2, at(0))}, at(5)));
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].cause, Cause::lifetime);
  EXPECT_EQ(given_up[0].entry.place.id, id_of(1));
}

TEST(Scheduler, ARecipientThatNobodyTriedGetsOneChanceAfterItsLifetime) {
  Scheduler scheduler({});
  Entry late = entry(1, at(0));
  late.expires_at = at(-5);
  scheduler.add(flow(), std::move(late), at(0));
  EXPECT_TRUE(scheduler.take(flow().lane, 0, at(0)));
}

TEST(Scheduler, ExhaustedTriesEndWithoutAnAttempt) {
  SchedulerOptions options;
  options.tries_max = 2;
  Scheduler scheduler(options);
  Entry tired = entry(1, at(0), 2);
  tired.recipients[0].tries = 2;
  scheduler.add(flow(), std::move(tired), at(0));
  scheduler.take_actions();
  auto taken = scheduler.take(flow().lane, 0, at(0));
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->second.recipients.size(), 1u);
  EXPECT_EQ(taken->second.recipients[0].index, 1u);
  const auto given_up = only<GiveUp>(scheduler.take_actions());
  ASSERT_EQ(given_up.size(), 1u);
  EXPECT_EQ(given_up[0].cause, Cause::tries);
  EXPECT_EQ(given_up[0].entry.recipients[0].index, 0u);
}

TEST(Scheduler, SessionsGrowWithTheBacklogUpToTheLanesLimit) {
  SchedulerOptions options;
  options.lane_options = [](const LaneKey&) { return LaneOptions{3}; };
  Scheduler scheduler(options);
  for (std::uint8_t i = 0; i < 100; ++i) scheduler.add(flow(), entry(i, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 2u) << "two find out how it is";
  scheduler.lane_recovered(flow().lane, at(0));
  scheduler.lane_recovered(flow().lane, at(0));
  scheduler.add(flow(), entry(101, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u) << "the lane's limit is 3";
}

TEST(Scheduler, ADeadDestinationIsFoundOutByTwoSessionsAtMost) {
  Scheduler scheduler({});
  for (std::uint8_t i = 0; i < 200; ++i) scheduler.add(flow(), entry(i, at(0)), at(0));
  std::size_t opened = only<OpenSession>(scheduler.take_actions()).size();
  for (std::size_t i = 0; i < 2; ++i) {
    scheduler.lane_troubled(flow().lane, {}, at(5), at(0));
    scheduler.session_ended(flow().lane, at(0));
    opened += only<OpenSession>(scheduler.take_actions()).size();
  }
  EXPECT_EQ(opened, 2u);
  EXPECT_EQ(scheduler.failures(flow().lane), 1u) << "one trouble, however many sessions saw it";
}

TEST(Scheduler, ARefusedSessionBesideOthersThatWorkIsNotReplacedAtOnce) {
  Scheduler scheduler({});
  for (std::uint8_t i = 0; i < 200; ++i) scheduler.add(flow(), entry(i, at(0)), at(0));
  scheduler.take_actions();
  scheduler.lane_saturated(flow().lane, at(0));
  scheduler.session_ended(flow().lane, at(0));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  const auto wakeup = scheduler.next_wakeup();
  ASSERT_TRUE(wakeup);
  scheduler.tick(*wakeup);
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, AnEntryThatAPageBroughtBeforeItsAddIsWorkedOnOnce) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(1)}, at(0));
  scheduler.take_actions();
  scheduler.page_loaded(flow(), {entry(1, at(0)), entry(2, at(0))}, true, at(0));
  EXPECT_EQ(take_all(scheduler, flow(), at(0)), (std::vector<std::uint8_t>{1, 2}));
  scheduler.session_ended(flow().lane, at(0));
  // Committed long ago, delivered already: add() comes late.
  scheduler.add(flow(), entry(2, at(0)), at(0));
  EXPECT_FALSE(scheduler.take(flow().lane, 0, at(0)));
}

TEST(Scheduler, PartsOfAnEntryThatWereDeferredToTheSameMomentAreAllFound) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0), 4), at(0));
  auto first = scheduler.take(flow().lane, 2, at(0));
  auto second = scheduler.take(flow().lane, 2, at(0));
  ASSERT_TRUE(first && second);
  scheduler.take_actions();
  // The first part is deferred and comes back in a page, then the second to the same due time.
  scheduler.finished(flow(), first->second.place, at(0));
  scheduler.on_disk(flow(), {at(1), id_of(1)}, at(0));
  scheduler.tick(at(1));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  Entry page = entry(1, at(1), 2);
  scheduler.page_loaded(flow(), {page}, true, at(1));
  scheduler.finished(flow(), second->second.place, at(1));
  scheduler.on_disk(flow(), {at(1), id_of(1)}, at(1));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  scheduler.page_loaded(flow(), {entry(1, at(1), 4)}, true, at(1));
  auto all = scheduler.take(flow().lane, 0, at(1));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->second.recipients.size(), 4u);
}

TEST(Scheduler, APageThatIsOlderThanAnOperatorsChangeDoesNotUndoIt) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(1)}, at(0));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  scheduler.block(flow(), {at(0), id_of(1)});
  scheduler.unblock(flow(), id_of(1), at(0));
  scheduler.page_loaded(flow(), {entry(1, at(0))}, true, at(0));
  EXPECT_FALSE(scheduler.take(flow().lane, 0, at(0)));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u) << "a new page tells";
}

TEST(Scheduler, WindowsAreBoundedTogether) {
  SchedulerOptions options;
  options.window_total = 10;
  Scheduler scheduler(options);
  for (std::uint8_t i = 0; i < 30; ++i) {
    scheduler.add(flow("d" + std::to_string(i) + ".example"), entry(i, at(0)), at(0));
    scheduler.add(flow("d" + std::to_string(i) + ".example"),
                  entry(static_cast<std::uint8_t>(100 + i), at(0)), at(0));
  }
  EXPECT_LE(scheduler.window_entries(), 10u);
  EXPECT_GE(scheduler.window_entries(), 5u);
  EXPECT_GE(scheduler.sleeping_lanes(), 20u) << "the others wait on disk";
}

TEST(Scheduler, WhatIsDueFirstTakesThePlaceOfWhatIsDueLater) {
  SchedulerOptions options;
  options.window = 2;
  Scheduler scheduler(options);
  scheduler.add(flow(), entry(1, at(0) + seconds(20)), at(1));
  scheduler.add(flow(), entry(2, at(0) + seconds(25)), at(1));
  EXPECT_TRUE(scheduler.add(flow(), entry(3, at(0)), at(1)));
  EXPECT_EQ(scheduler.window_entries(), 2u);
  auto taken = scheduler.take(flow().lane, 0, at(1));
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->second.place.id, id_of(3));
}

TEST(Scheduler, ASlowSessionGetsHelp) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
  ASSERT_TRUE(scheduler.take(flow().lane, 0, at(0)));
  scheduler.add(flow(), entry(2, at(0)), at(0));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  const auto wakeup = scheduler.next_wakeup();
  ASSERT_TRUE(wakeup);
  EXPECT_LE(*wakeup, at(0) + seconds(1));
  scheduler.tick(*wakeup);
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, LanesTakeTurnsAtTheBudgetAndTheReserveServesSmallOnes) {
  SchedulerOptions options;
  options.sessions_max = 4;
  options.sessions_reserve = 1;
  Scheduler scheduler(options);
  scheduler.add(flow("giant.example"), entry(201, at(0)), at(0));
  scheduler.lane_recovered(flow("giant.example").lane, at(0));
  scheduler.lane_recovered(flow("giant.example").lane, at(0));
  for (std::uint8_t i = 0; i < 200; ++i)
    scheduler.add(flow("giant.example"), entry(i, at(0)), at(0));
  EXPECT_EQ(only<OpenSession>(scheduler.take_actions()).size(), 4u);
  scheduler.add(flow("small.example"), entry(250, at(0)), at(0));
  const auto opened = only<OpenSession>(scheduler.take_actions());
  ASSERT_EQ(opened.size(), 1u) << "the reserve is for lanes without any session";
  EXPECT_EQ(opened[0].lane.destination, "small.example");
  scheduler.add(flow("late.example"), entry(251, at(0)), at(0));
  EXPECT_TRUE(only<OpenSession>(scheduler.take_actions()).empty());
  EXPECT_TRUE(scheduler.view(flow("late.example").lane, at(0))->waits_for_budget);
  scheduler.session_ended(flow("giant.example").lane, at(0));
  const auto next = only<OpenSession>(scheduler.take_actions());
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].lane.destination, "late.example") << "the giant has had its turn";
}

TEST(Scheduler, slimta_26_a_hint_without_mail_behind_it_does_no_harm) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(1)}, at(0));
  ASSERT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
  scheduler.page_loaded(flow(), {}, true, at(0));
  EXPECT_TRUE(scheduler.take_actions().empty());
  EXPECT_EQ(scheduler.lanes(), 0u);
  EXPECT_FALSE(scheduler.next_wakeup());
}

TEST(Scheduler, APageThatCannotBeReadIsAskedForAgain) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(1)}, at(0));
  scheduler.take_actions();
  scheduler.page_failed(flow(), at(0));
  ASSERT_TRUE(scheduler.next_wakeup());
  scheduler.tick(*scheduler.next_wakeup());
  EXPECT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, BlockedMailComesBackAfterUnblock) {
  Scheduler scheduler({});
  scheduler.add(flow(), entry(1, at(0)), at(0));
  scheduler.block(flow(), {at(0), id_of(1)});
  EXPECT_FALSE(scheduler.take(flow().lane, 0, at(0)));
  scheduler.take_actions();
  scheduler.unblock(flow(), id_of(1), at(0));
  EXPECT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, BlockedMailThatAPageBroughtIsLookedForAgain) {
  Scheduler scheduler({});
  scheduler.on_disk(flow(), {at(0), id_of(1)}, at(0));
  scheduler.block(flow(), {at(0), id_of(1)});
  scheduler.block(flow(), {at(0), id_of(1)});
  scheduler.take_actions();
  scheduler.page_loaded(flow(), {entry(1, at(0)), entry(2, at(0))}, true, at(0));
  EXPECT_EQ(take_all(scheduler, flow(), at(0)), (std::vector<std::uint8_t>{2}));
  scheduler.take_actions();
  scheduler.unblock(flow(), id_of(1), at(0));
  EXPECT_TRUE(only<LoadPage>(scheduler.take_actions()).empty()) << "still blocked by somebody else";
  scheduler.unblock(flow(), id_of(1), at(0));
  EXPECT_EQ(only<LoadPage>(scheduler.take_actions()).size(), 1u);
}

TEST(Scheduler, BlockingInOneLaneLeavesTheOthersAlone) {
  Scheduler scheduler({});
  scheduler.add(flow("a.example"), entry(1, at(0)), at(0));
  scheduler.block(flow("b.example"), {at(0), id_of(1)});
  EXPECT_TRUE(scheduler.take(flow("a.example").lane, 0, at(0)));
  EXPECT_TRUE(scheduler.in_flight(flow("a.example"), id_of(1)));
  EXPECT_FALSE(scheduler.in_flight(flow("b.example"), id_of(1)));
}

/// Random events against a model of the disk. Conservation: every entry is worked on exactly once
/// per due time, memory stays in its bounds, and in the end nothing is left. Lanes fall asleep and
/// wake all the time. Prints its seed.
TEST(SchedulerProperty, NothingIsLostOrDoneTwiceWhateverTheOrderOfEvents) {
  const std::vector<std::string> lane_names{"a.example", "b.example", "c.example", "d.example",
                                            "e.example", "f.example", "g.example", "h.example",
                                            "i.example", "j.example"};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SeededRandom random(seed);
    SchedulerOptions options;
    options.window = 3 + static_cast<std::uint32_t>(random.below(6));
    const std::size_t lanes_of_it = 2 + random.below(8);
    if (random.below(2) == 0) options.window_total = 2 + random.below(12);
    if (random.below(2) == 0) options.window_octets = 2000 + random.below(20'000);
    options.sessions_max = 5;
    options.sessions_reserve = 1;
    std::map<std::string, Time> suspended;
    options.lane_options = [&suspended](const LaneKey& lane) {
      return LaneOptions{32, suspended[lane.destination]};
    };
    Scheduler scheduler(options);
    std::map<std::string, std::map<DueCursor, Entry>> disk;
    std::map<DueCursor, int> worked;

    struct Page {
      FlowKey flow;
      std::vector<Entry> entries;
      bool end;
    };

    std::vector<Page> pages;
    std::vector<std::pair<FlowKey, Entry>> flying, late;
    std::map<std::string, std::uint32_t> sessions;
    std::uint16_t next_number = 0;
    int completed = 0;
    int created = 0;
    Time now = at(0);
    const auto act = [&] {
      for (const Action& action : scheduler.take_actions()) {
        if (const auto* open = std::get_if<OpenSession>(&action)) {
          ASSERT_LE(suspended[open->lane.destination], now) << "a session of a suspended lane";
          ++sessions[open->lane.destination];
        }
        if (const auto* load = std::get_if<LoadPage>(&action)) {
          Page page{load->flow, {}, true};
          for (const auto& [place, stored] : disk[load->flow.lane.destination]) {
            if (load->after && place <= *load->after) continue;
            if (page.entries.size() >= load->limit) {
              page.end = false;
              break;
            }
            page.entries.push_back(stored);
          }
          pages.push_back(std::move(page));
        }
      }
      std::uint32_t open = 0;
      for (const auto& [lane, count] : sessions) open += count;
      ASSERT_LE(open, 6u);
    };
    for (int step = 0; step < 3000; ++step) {
      ASSERT_LE(scheduler.window_entries(), options.window_total + 1 + lanes_of_it);
      ASSERT_LE(scheduler.window_octets(), options.window_octets + (1 + lanes_of_it) * 2000);
      const std::string lane = lane_names[random.below(lanes_of_it)];
      if (random.below(60) == 0) {
        suspended[lane] = random.below(2) == 0 ? Time{} : now + seconds(random.below(40));
        scheduler.set_options(options, now);
        act();
      }
      switch (random.below(7)) {
        case 0:
          if (next_number < 250) {
            Entry fresh = entry(static_cast<std::uint8_t>(next_number++),
                                now + seconds(random.below(3) == 0 ? 60 : 0));
            fresh.octets = random.below(1500);
            disk[lane][fresh.place] = fresh;
            ++created;
            late.push_back({flow(lane), fresh});
          }
          break;
        case 1:
          if (!pages.empty()) {
            const Page page = pages.front();
            pages.erase(pages.begin());
            scheduler.page_loaded(page.flow, page.entries, page.end, now);
          }
          break;
        case 2:
          if (sessions[lane] > 0) {
            if (auto taken = scheduler.take(flow(lane).lane, 0, now)) {
              ASSERT_LE(suspended[lane], now) << "work of a suspended lane";
              ASSERT_TRUE(disk[lane].contains(taken->second.place)) << "already finished";
              ++worked[taken->second.place];
              ASSERT_EQ(worked[taken->second.place], 1) << "worked on twice at once";
              flying.push_back(std::move(*taken));
            } else {
              --sessions[lane];
              scheduler.session_ended(flow(lane).lane, now);
            }
          }
          break;
        case 3:
          if (!flying.empty()) {
            auto [key, done] = flying.back();
            flying.pop_back();
            --worked[done.place];
            const std::string& its_lane = key.lane.destination;
            if (random.below(4) == 0) {
              scheduler.put_back(key, done, now);
              break;
            }
            disk[its_lane].erase(done.place);
            scheduler.lane_recovered(key.lane, now);
            scheduler.finished(key, done.place, now);
            if (random.below(3) == 0) {
              Entry again = done;
              again.place.due = now + seconds(random.below(90));
              disk[its_lane][again.place] = again;
              scheduler.add(key, again, now);
            } else {
              ++completed;
            }
          }
          break;
        case 4:
          now += seconds(random.below(5));
          scheduler.tick(now);
          break;
        case 5:
          if (random.below(20) == 0) scheduler.end_rest(flow(lane).lane, now);
          if (random.below(20) == 0 && !pages.empty()) {
            scheduler.page_failed(pages.front().flow, now);
            pages.erase(pages.begin());
          }
          if (random.below(10) == 0 && sessions[lane] > 0) {
            scheduler.lane_troubled(flow(lane).lane, {}, now + seconds(10), now);
            --sessions[lane];
            scheduler.session_ended(flow(lane).lane, now);
          }
          break;
        default:
          if (!late.empty()) {
            scheduler.add(late.front().first, late.front().second, now);
            late.erase(late.begin());
          }
          break;
      }
      act();
    }
    for (auto& [key, fresh] : std::exchange(late, {})) scheduler.add(key, fresh, now);
    // Everything ends well from here on.
    for (int round = 0; round < 5000; ++round) {
      for (auto& [key, done] : std::exchange(flying, {})) {
        disk[key.lane.destination].erase(done.place);
        scheduler.finished(key, done.place, now);
        ++completed;
      }
      for (const Page& page : std::exchange(pages, {})) {
        scheduler.page_loaded(page.flow, page.entries, page.end, now);
      }
      act();
      bool took = false;
      for (auto& [lane, count] : sessions) {
        while (count > 0) {
          if (auto taken = scheduler.take(flow(lane).lane, 0, now)) {
            ASSERT_LE(suspended[lane], now);
            ASSERT_TRUE(disk[lane].contains(taken->second.place));
            flying.push_back(std::move(*taken));
            took = true;
            break;
          }
          --count;
          scheduler.session_ended(flow(lane).lane, now);
        }
      }
      act();
      if (!took && pages.empty()) {
        if (!scheduler.next_wakeup()) break;
        now = std::max(now, *scheduler.next_wakeup());
        scheduler.tick(now);
        act();
      }
    }
    EXPECT_EQ(completed, created);
    EXPECT_EQ(scheduler.entries_in_flight(), 0u);
    EXPECT_EQ(scheduler.window_entries(), 0u);
    EXPECT_EQ(scheduler.window_octets(), 0u);
    EXPECT_EQ(scheduler.lanes(), 0u);
    EXPECT_EQ(scheduler.sleeping_lanes(), 0u);
  }
}

}  // namespace
}  // namespace mansio::schedule
