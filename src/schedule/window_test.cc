#include "schedule/window.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "schedule/flow_dues.h"
#include "schedule/schedule_test_kit.h"
#include "schedule/seen_places.h"

namespace mansio::schedule {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

DueCursor place(std::uint64_t number) {
  DueCursor made{start + seconds(number), {}};
  made.id.octets[15] = static_cast<std::uint8_t>(number);
  return made;
}

Entry entry(std::uint64_t number) {
  Entry made;
  made.place = place(number);
  return made;
}

TEST(Window, GivesEntriesInOrderOfTheirPlaces) {
  SeededRandom random(3);
  Window window;
  std::map<DueCursor, int> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t number = random.below(300);
    switch (random.below(5)) {
      case 0:
      case 1:
        EXPECT_EQ(window.insert(entry(number)).second, model.emplace(place(number), 0).second);
        break;
      case 2:
        if (model.empty()) break;
        EXPECT_EQ(window.pop_front().place, model.begin()->first);
        model.erase(model.begin());
        break;
      case 3:
        if (model.empty()) break;
        EXPECT_EQ(window.pop_back().place, std::prev(model.end())->first);
        model.erase(std::prev(model.end()));
        break;
      default:
        EXPECT_EQ(window.remove(place(number)).has_value(), model.erase(place(number)) > 0);
    }
    ASSERT_EQ(window.size(), model.size());
    ASSERT_EQ(window.empty(), model.empty());
  }
}

TEST(Window, WhatComesBackGoesToTheFront) {
  Window window;
  for (std::uint64_t number = 1; number <= 3; ++number) window.insert(entry(number));
  Entry first = window.pop_front();
  window.insert(std::move(first));
  EXPECT_EQ(window.front().place, place(1));
  EXPECT_EQ(window.size(), 3u);
}

TEST(FlowDues, KnowTheEarliest) {
  FlowDues dues;
  EXPECT_EQ(dues.earliest(), Time::max());
  dues.lower({PriorityClass::low, 1}, start + seconds(5));
  dues.lower({PriorityClass::high, 1}, start + seconds(9));
  dues.lower({PriorityClass::high, 1}, start + seconds(20));
  EXPECT_EQ(dues.earliest(), start + seconds(5));
  EXPECT_EQ(dues.first_after(start + seconds(5)), start + seconds(9));
  EXPECT_EQ(dues.items().front().flow.klass, PriorityClass::high) << "in the order of service";
  dues.remove({PriorityClass::low, 1});
  EXPECT_EQ(dues.earliest(), start + seconds(9));
  dues.remove({PriorityClass::high, 1});
  EXPECT_TRUE(dues.empty());
  EXPECT_EQ(dues.earliest(), Time::max());
}

TEST(SeenPlaces, RememberAFlowForAMinuteAtLeastAndTwoAtMost) {
  const FlowKey flow{{"a.example", "default"}, PriorityClass::normal, 0};
  const FlowKey other{{"b.example", "default"}, PriorityClass::normal, 0};
  SeenPlaces seen;
  EXPECT_FALSE(seen.contains(flow, place(1), start));
  seen.note(flow, place(5), start);
  seen.note(flow, place(3), start);
  EXPECT_TRUE(seen.contains(flow, place(5), start + seconds(59)));
  EXPECT_FALSE(seen.contains(flow, place(6), start));
  EXPECT_FALSE(seen.contains(other, place(1), start));
  EXPECT_TRUE(seen.contains(flow, place(4), start + seconds(61)));
  EXPECT_FALSE(seen.contains(flow, place(4), start + minutes(2) + seconds(1)));
}

TEST(SeenPlaces, RememberManyFlows) {
  SeenPlaces seen;
  const auto flow = [](std::uint32_t number) {
    return FlowKey{{"d" + std::to_string(number), "default"}, PriorityClass::normal, number};
  };
  for (std::uint32_t number = 0; number < 5000; ++number) {
    seen.note(flow(number), place(number % 200), start);
  }
  for (std::uint32_t number = 0; number < 5000; ++number) {
    EXPECT_TRUE(seen.contains(flow(number), place(number % 200), start));
    EXPECT_FALSE(seen.contains(flow(number), place(number % 200 + 1), start));
  }
}

}  // namespace
}  // namespace mansio::schedule
