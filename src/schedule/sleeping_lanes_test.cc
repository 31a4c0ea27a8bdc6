#include "schedule/sleeping_lanes.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <string>

#include "base/random.h"
#include "schedule/scheduler.h"

namespace mansio::schedule {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr Time start{hours(500'000)};
constexpr FlowId normal{PriorityClass::normal, 0};

LaneKey lane(std::size_t number, const std::string& binding = "default") {
  return {"d" + std::to_string(1'000'000 + number) + ".test.example", binding};
}

SleepingLanes::Sleeper sleeper(const LaneKey& key, Time due) {
  SleepingLanes::Sleeper made{key, {}, nullptr};
  made.dues.lower(normal, due);
  return made;
}

TEST(SleepingLanes, TheFirstOneWakesFirst) {
  SleepingLanes lanes;
  lanes.note(lane(1), normal, start + seconds(5));
  lanes.note(lane(2), normal, start + seconds(3));
  lanes.note(lane(3), normal, start + seconds(9));
  lanes.note(lane(3), normal, start + seconds(1));
  lanes.note(lane(3), normal, start + seconds(7));
  ASSERT_EQ(lanes.size(), 3u);
  EXPECT_EQ(lanes.first_time(), start + seconds(1));
  EXPECT_EQ(lanes.remove(lanes.first()).lane, lane(3));
  EXPECT_EQ(lanes.remove(lanes.first()).lane, lane(2));
  const auto last = lanes.remove(lanes.first());
  EXPECT_EQ(last.dues.find(normal), start + seconds(5));
  EXPECT_TRUE(lanes.empty());
  EXPECT_EQ(lanes.first_time(), Time::max());
}

TEST(SleepingLanes, BindingsAreLanesOfTheirOwn) {
  SleepingLanes lanes;
  lanes.note(lane(1, "default"), normal, start);
  EXPECT_EQ(lanes.find(lane(1, "notices")), SleepingLanes::none);
  lanes.note(lane(1, "notices"), normal, start + seconds(1));
  EXPECT_NE(lanes.find(lane(1, "notices")), lanes.find(lane(1)));
  EXPECT_EQ(lanes.remove(lanes.find(lane(1, "notices"))).lane.binding, "notices");
}

TEST(SleepingLanes, ALaneMayHaveManyFlows) {
  SleepingLanes lanes;
  for (std::uint32_t flow = 0; flow < 100; ++flow) {
    lanes.note(lane(1), {PriorityClass::low, 100 - flow}, start + seconds(flow));
  }
  lanes.note(lane(1), {PriorityClass::high, 7}, start + seconds(500));
  EXPECT_EQ(lanes.first_time(), start);
  const auto woken = lanes.remove(lanes.find(lane(1)));
  EXPECT_EQ(woken.dues.size(), 101u);
  EXPECT_EQ(woken.dues.items().front().flow.klass, PriorityClass::high);
  EXPECT_EQ(woken.dues.find({PriorityClass::low, 1}), start + seconds(99));
}

TEST(SleepingLanes, AParkedLaneWakesAtItsTimeWhateverIsNoted) {
  SleepingLanes lanes;
  lanes.insert_parked(sleeper(lane(1), start), start + hours(1));
  lanes.note(lane(1), normal, start);
  lanes.note(lane(1), {PriorityClass::high, 0}, start);
  EXPECT_EQ(lanes.first_time(), start + hours(1));
  lanes.unpark_all(start + seconds(1));
  EXPECT_LE(lanes.first_time(), start + seconds(1));
  EXPECT_EQ(lanes.remove(lanes.first()).dues.size(), 2u);
}

TEST(SleepingLanes, ARestOutlastsWhatOthersEnd) {
  SleepingLanes lanes;
  auto resting = sleeper(lane(1), start);
  resting.rest = std::make_unique<Rest>(Rest{3, start, start + hours(2), nullptr});
  lanes.insert_parked(std::move(resting), Time::max());
  lanes.unpark_all(start);
  EXPECT_EQ(lanes.first_time(), start + hours(2));
  EXPECT_EQ(lanes.rest(lanes.first())->failures, 3u);
  lanes.end_rest(lanes.first(), start + hours(1));
  EXPECT_LE(lanes.first_time(), start + hours(1));
  EXPECT_EQ(lanes.remove(lanes.first()).rest->failures, 3u);
}

/// Random lanes of different lengths come, change and go, against a map; in the end most go, so
/// that the rest moves together.
TEST(SleepingLanes, AreWhatAMapWouldBe) {
  SeededRandom random(7);
  SleepingLanes lanes;
  std::map<std::string, Time> model;
  const auto name = [&random] {
    const std::size_t number = random.below(150'000);
    return std::string(number % 50, 'x') + std::to_string(number);
  };
  const auto drop_first = [&] {
    const Time first = lanes.first_time();
    const std::string gone = lanes.remove(lanes.first()).lane.destination;
    ASSERT_EQ(model[gone], first);
    model.erase(gone);
  };
  for (int step = 0; step < 400'000; ++step) {
    const std::string destination = name();
    if (random.below(4) > 0) {
      const Time due = start + seconds(random.below(1000));
      lanes.note({destination, "default"}, normal, due);
      const auto [known, fresh] = model.try_emplace(destination, due);
      known->second = std::min(known->second, due);
    } else if (!model.empty() && random.below(2) == 0) {
      drop_first();
    } else if (model.erase(destination) > 0) {
      lanes.remove(lanes.find({destination, "default"}));
    }
    ASSERT_EQ(lanes.size(), model.size());
  }
  while (model.size() > 10) drop_first();
  for (const auto& [destination, due] : model) {
    ASSERT_NE(lanes.find({destination, "default"}), SleepingLanes::none);
  }
  while (!model.empty()) drop_first();
  EXPECT_TRUE(lanes.empty());
}

std::size_t octets_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// A million waiting lanes must fit beside everything else. Measured over sizes just before and
/// after containers grow.
TEST(SleepingLanes, ALaneWithNothingInMemoryTakes64OctetsAtMost) {
  for (const std::size_t count : {70'000, 200'000, 333'333, 1'000'000}) {
    const std::size_t before = octets_in_use();
    Scheduler scheduler({});
    for (std::size_t number = 0; number < count; ++number) {
      scheduler.on_disk({lane(number), PriorityClass::normal, 0},
                        {start + seconds(number % 10'000), {}}, start - hours(1));
    }
    ASSERT_EQ(scheduler.sleeping_lanes(), count);
    EXPECT_EQ(scheduler.lanes(), 0u);
    EXPECT_LE(octets_in_use() - before, 64 * count) << count << " lanes";
  }
}

/// Behind a relay that is down every lane rests, for the same reason.
TEST(SleepingLanes, ALaneThatRestsTakes128OctetsAtMost) {
  constexpr std::size_t count = 300'000;
  const auto trouble = std::make_shared<const Disposition>();
  const std::size_t before = octets_in_use();
  SleepingLanes lanes;
  for (std::size_t number = 0; number < count; ++number) {
    auto resting = sleeper(lane(number), start);
    resting.rest = std::make_unique<Rest>(Rest{1, start, start + hours(2), trouble});
    lanes.insert_parked(std::move(resting), start + hours(2));
  }
  EXPECT_LE(octets_in_use() - before, 128 * count);
  EXPECT_EQ(lanes.rest(lanes.find(lane(7)))->trouble, trouble);
  while (!lanes.empty()) lanes.remove(lanes.first());
  EXPECT_EQ(trouble.use_count(), 1);
}

}  // namespace
}  // namespace mansio::schedule
