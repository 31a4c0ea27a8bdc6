#include "base/octets.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

using namespace std::chrono_literals;

TEST(Octets, ReadsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_octets("512"), 512u);
  EXPECT_EQ(parse_octets("50KiB"), 51200u);
  EXPECT_EQ(parse_octets("10MiB"), 10485760u);
  EXPECT_EQ(parse_octets("1GiB"), 1073741824u);
  EXPECT_EQ(parse_octets("2MB"), 2000000u);
  EXPECT_EQ(parse_octets("0"), 0u);
}

TEST(Octets, RefusesWhatIsNoSize) {
  for (const char* text : {"", "KiB", "-1", "1.5MiB", "1 MiB", "1kib", "1X", "99999999999TiB"}) {
    EXPECT_EQ(parse_octets(text), std::nullopt) << text;
  }
}

TEST(Octets, AreShownInTheShortestExactForm) {
  EXPECT_EQ(octets_to_text(10485760), "10MiB");
  EXPECT_EQ(octets_to_text(1000), "1KB");
  EXPECT_EQ(octets_to_text(0), "0");
  EXPECT_EQ(octets_to_text(998), "998");
  EXPECT_EQ(octets_to_text(4096), "4KiB");
}

TEST(Rate, ReadsPeriodsAndBursts) {
  EXPECT_EQ(parse_rate("100/s"), (Rate{100, 1s, 1}));
  EXPECT_EQ(parse_rate("10/m"), (Rate{10, 1min, 1}));
  EXPECT_EQ(parse_rate("5000/h burst 50"), (Rate{5000, 1h, 50}));
  EXPECT_EQ(parse_rate("3/10s"), (Rate{3, 10s, 1}));
}

TEST(Rate, RefusesWhatIsNoRate) {
  for (const char* text : {"", "100", "0/s", "-1/s", "1/0s", "1/x", "1/s burst", "1/s burst 0",
                           "1/s bust 3", "1e3/s", "inf/s", "1/s  burst 3"}) {
    EXPECT_EQ(parse_rate(text), std::nullopt) << text;
  }
}

TEST(Rate, IsReadBackAsShown) {
  for (const char* text : {"100/s", "10/m", "5000/h burst 50", "3/10s", "1/d", "0.5/s"}) {
    const auto rate = parse_rate(text);
    ASSERT_TRUE(rate) << text;
    EXPECT_EQ(to_text(*rate), text);
  }
}

}  // namespace
}  // namespace mansio
