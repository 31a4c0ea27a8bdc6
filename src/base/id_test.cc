#include "base/id.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace mansio {
namespace {

using namespace std::chrono_literals;

TEST(QueueId, KnownValuesHaveTheirText) {
  QueueId id;
  EXPECT_EQ(id.to_string(), "00000000000000000000000000");
  id.octets.fill(0xff);
  EXPECT_EQ(id.to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
  id = {};
  id.octets[15] = 0x21;
  EXPECT_EQ(id.to_string(), "00000000000000000000000011");
}

TEST(QueueId, IsReadBackInEitherCase) {
  SeededRandom random(7);
  IdSource source(random);
  for (int i = 0; i < 1000; ++i) {
    const auto id = source.next(Time(std::chrono::milliseconds(1700000000000 + i)));
    auto text = id.to_string();
    EXPECT_EQ(QueueId::parse(text), id);
    for (char& c : text) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(QueueId::parse(text), id);
    EXPECT_EQ(id.time(), Time(std::chrono::milliseconds(1700000000000 + i)));
  }
}

TEST(QueueId, RefusesOtherText) {
  EXPECT_FALSE(QueueId::parse(""));
  EXPECT_FALSE(QueueId::parse("0000000000000000000000000"));
  EXPECT_FALSE(QueueId::parse("000000000000000000000000000"));
  EXPECT_FALSE(QueueId::parse("80000000000000000000000000"));
  EXPECT_FALSE(QueueId::parse("0000000000000000000000000U"));
  EXPECT_FALSE(QueueId::parse("0000000000000 000000000000"));
}

TEST(IdSource, GrowsWithinAMillisecondAndWhenTheClockGoesBack) {
  SeededRandom random(1);
  IdSource source(random);
  const Time start(std::chrono::seconds(1700000000));
  QueueId last = source.next(start);
  for (int i = 0; i < 100000; ++i) {
    const auto id = source.next(i % 3 == 0 ? start - 1h : start);
    ASSERT_LT(last, id);
    ASSERT_LT(last.to_string(), id.to_string());
    last = id;
  }
  EXPECT_LT(last, source.next(start + 1ms));
}

TEST(IdSource, TwoSourcesDoNotMeet) {
  const auto system = make_system_random();
  IdSource one(*system);
  IdSource two(*system);
  std::unordered_set<QueueId> seen;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(one.next(Time{})).second);
    EXPECT_TRUE(seen.insert(two.next(Time{})).second);
  }
}

}  // namespace
}  // namespace mansio
