#include "schedule/retry_schedule.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mansio::schedule {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr double exact = 0.5;

TEST(RetrySchedule, DelaysGrowByTheFactorUpToTheCeiling) {
  const RetrySchedule schedule({});
  const Duration expected[] = {minutes(15), minutes(30), hours(1), hours(2),
                               hours(4),    hours(4),    hours(4)};
  for (std::uint32_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(schedule.delay(i + 1, exact), expected[i]) << "deferral " << i + 1;
  }
}

TEST(RetrySchedule, FractionsOfTheFactorAreNotLost) {
  RetryOptions options;
  options.factor = 1.25;
  options.max = hours(24);
  const RetrySchedule schedule(options);
  // 15 min × 1.25^(n-1), to the microsecond: truncating the power would give 15 minutes four times.
  EXPECT_EQ(schedule.delay(1, exact), minutes(15));
  EXPECT_EQ(schedule.delay(2, exact), milliseconds(1'125'000));
  EXPECT_EQ(schedule.delay(3, exact), milliseconds(1'406'250));
  EXPECT_EQ(schedule.delay(4, exact), std::chrono::microseconds(1'757'812'500));
  EXPECT_EQ(schedule.delay(5, exact), std::chrono::microseconds(2'197'265'625));
}

TEST(RetrySchedule, R26_a_recipient_is_tried_for_days_after_growing_delays_and_both_can_be_set) {
  const RetryOptions defaults;
  EXPECT_GE(defaults.lifetime, hours(24 * 4));
  const RetrySchedule schedule(defaults);
  EXPECT_GT(schedule.delay(1, exact), Duration::zero());
  EXPECT_GE(schedule.delay(2, exact), minutes(30));
  RetryOptions patient;
  patient.min = patient.max = hours(1);
  EXPECT_EQ(RetrySchedule(patient).delay(1, exact), hours(1));
}

TEST(RetrySchedule, LargeCountsStayAtTheCeiling) {
  const RetrySchedule schedule({});
  EXPECT_EQ(schedule.delay(1'000'000, exact), hours(4));
  EXPECT_EQ(schedule.delay(~0u, exact), hours(4));
  EXPECT_EQ(schedule.delay(0, exact), minutes(15));
}

TEST(RetrySchedule, JitterSpreadsBothWays) {
  const RetrySchedule schedule({});
  EXPECT_EQ(schedule.delay(1, 0.0), milliseconds(810'000));
  EXPECT_LT(schedule.delay(1, 0.999), milliseconds(990'000));
  EXPECT_GT(schedule.delay(1, 0.999), milliseconds(989'000));
}

TEST(RetrySchedule, TheLastIntervalOfAListRepeats) {
  RetryOptions options;
  options.intervals = {minutes(1), minutes(5), minutes(20)};
  const RetrySchedule schedule(options);
  EXPECT_EQ(schedule.delay(1, exact), minutes(1));
  EXPECT_EQ(schedule.delay(2, exact), minutes(5));
  EXPECT_EQ(schedule.delay(3, exact), minutes(20));
  EXPECT_EQ(schedule.delay(30, exact), minutes(20));
}

TEST(RetrySchedule, NoTryIsPlannedBehindTheLifetime) {
  const RetrySchedule schedule({});
  const Time now{hours(1000)};
  EXPECT_EQ(schedule.next_due(now, now + hours(100), 1, exact), now + minutes(15));
  EXPECT_EQ(schedule.next_due(now, now + minutes(3), 1, exact), now + minutes(3));
  EXPECT_EQ(schedule.next_due(now, now - minutes(3), 1, exact), now);
}

TEST(RetrySchedule, TroubleOfADestinationIsLookedAtAgainWithinAQuarterOfAnHour) {
  const RetrySchedule schedule({});
  EXPECT_EQ(schedule.trouble_delay(1, exact), minutes(1));
  EXPECT_EQ(schedule.trouble_delay(3, exact), minutes(4));
  EXPECT_EQ(schedule.trouble_delay(50, exact), minutes(15));
  RetryOptions quick;
  quick.min = milliseconds(200);
  quick.max = milliseconds(400);
  EXPECT_EQ(RetrySchedule(quick).trouble_delay(1, exact), milliseconds(200));
  EXPECT_EQ(RetrySchedule(quick).trouble_delay(9, exact), milliseconds(400));
}

TEST(RetrySchedule, TriesAreLimitedOnlyIfAsked) {
  RetryOptions options;
  EXPECT_FALSE(RetrySchedule(options).tries_exhausted(1'000'000));
  options.tries_max = 3;
  EXPECT_FALSE(RetrySchedule(options).tries_exhausted(2));
  EXPECT_TRUE(RetrySchedule(options).tries_exhausted(3));
}

TEST(RetrySchedule, RefusesOptionsThatMakeNoSense) {
  RetryOptions options;
  options.min = hours(5);
  EXPECT_THROW(RetrySchedule{options}, std::invalid_argument);
  options = {};
  options.factor = 0.5;
  EXPECT_THROW(RetrySchedule{options}, std::invalid_argument);
  options = {};
  options.jitter = 1.0;
  EXPECT_THROW(RetrySchedule{options}, std::invalid_argument);
  options = {};
  options.lifetime = Duration::zero();
  EXPECT_THROW(RetrySchedule{options}, std::invalid_argument);
}

}  // namespace
}  // namespace mansio::schedule
