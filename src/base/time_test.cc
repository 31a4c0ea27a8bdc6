#include "base/time.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

using namespace std::chrono_literals;

const Time kMarch =
    Time(std::chrono::sys_days(std::chrono::year(2026) / 3 / 1).time_since_epoch()) + 12h +
    123456us;

TEST(Time, IsShownInMilliseconds) {
  EXPECT_EQ(to_rfc3339(kMarch), "2026-03-01T12:00:00.123Z");
  EXPECT_EQ(to_rfc3339(Time{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(Time{-1us}), "1969-12-31T23:59:59.999Z");
}

TEST(Time, ReadsWhatItShowsAndOffsets) {
  EXPECT_EQ(parse_rfc3339("2026-03-01T12:00:00.123456Z"), kMarch);
  EXPECT_EQ(parse_rfc3339("2026-03-01T12:00:00.1234569Z"), kMarch);
  EXPECT_EQ(parse_rfc3339("2026-03-01t14:30:00.123456+02:30"), kMarch);
  EXPECT_EQ(parse_rfc3339("2026-03-01T12:00:00Z"), kMarch - 123456us);
}

TEST(Time, RefusesWhatIsNoTime) {
  for (const char* text : {"", "2026-03-01", "2026-02-30T00:00:00Z", "2026-03-01T24:00:00Z",
                           "2026-03-01T12:00:00", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zx",
                           "2026-3-01T12:00:00Z", "2026-03-01T12:00:00+2:00"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

TEST(Time, MailDatesHaveEnglishNamesInAnyLocale) {
  EXPECT_EQ(to_rfc5322(kMarch), "Sun, 1 Mar 2026 12:00:00 +0000");
}

TEST(Duration, ReadsUnitsAndTheirSums) {
  EXPECT_EQ(parse_duration("90s"), 90s);
  EXPECT_EQ(parse_duration("15m"), 15min);
  EXPECT_EQ(parse_duration("5d"), 120h);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(Duration, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "15", "m", "-5m", "1m1h", "1m1m", "5 m", "5M", "1.5h",
                           "99999999999999d", "9223372036854775808us"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, IsShownInTheShortestExactForm) {
  EXPECT_EQ(to_text(900s), "15m");
  EXPECT_EQ(to_text(90min), "90m");
  EXPECT_EQ(to_text(24h + 1s), "1d1s");
  EXPECT_EQ(to_text(0s), "0s");
  for (const Duration duration :
       {Duration(1us), Duration(61s), Duration(120h), Duration(1234567us)}) {
    EXPECT_EQ(parse_duration(to_text(duration)), duration);
  }
}

}  // namespace
}  // namespace mansio
