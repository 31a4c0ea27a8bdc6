#include "queue/suspensions.h"

#include <gtest/gtest.h>

namespace mansio::queue {
namespace {

constexpr Time noon{std::chrono::hours(500'000)};

Time after(int minutes) { return noon + std::chrono::minutes(minutes); }

spool::Suspension of(const std::string& destination, const std::string& binding = "",
                     Time until = {}) {
  return {destination, binding, noon, until, "reason of " + destination, "operator"};
}

std::string shown(const Suspensions& suspensions, const LaneKey& lane, Time now = noon) {
  const spool::Suspension* found = suspensions.shown(lane, now);
  return found == nullptr ? "none" : found->destination + "/" + found->binding;
}

TEST(Suspensions, NoneStopsNothing) {
  const Suspensions none;
  EXPECT_EQ(none.stopped_until({"x.example", "default"}), Time{});
  EXPECT_EQ(none.shown({"x.example", "default"}, noon), nullptr);
  EXPECT_FALSE(none.first_end());
}

TEST(Suspensions, TheMostSpecificIsShown) {
  const Suspensions all({of("*"), of("*", "bulk"), of("*.example"), of("*.x.example"),
                         of("a.x.example"), of("a.x.example", "bulk")});
  EXPECT_EQ(shown(all, {"a.x.example", "bulk"}), "a.x.example/bulk");
  EXPECT_EQ(shown(all, {"a.x.example", "default"}), "a.x.example/");
  EXPECT_EQ(shown(all, {"b.x.example", "bulk"}), "*.x.example/");
  EXPECT_EQ(shown(all, {"y.example", "default"}), "*.example/");
  EXPECT_EQ(shown(all, {"other.test", "bulk"}), "*/bulk");
  EXPECT_EQ(shown(all, {"other.test", "default"}), "*/");
}

TEST(Suspensions, ALaneIsStoppedAsLongAsAnyThatFitsIsInForce) {
  const Suspensions all({of("x.example", "", after(5)), of("*.example", "", after(9)),
                         of("x.example", "bulk"), of("y.example", "", after(2))});
  EXPECT_EQ(all.stopped_until({"x.example", "default"}), after(9));
  EXPECT_EQ(all.stopped_until({"x.example", "bulk"}), Time::max());
  EXPECT_EQ(all.stopped_until({"x.test", "default"}), Time{});
  EXPECT_EQ(shown(all, {"x.example", "default"}, after(4)), "x.example/");
  EXPECT_EQ(shown(all, {"x.example", "default"}, after(5)), "*.example/");
  EXPECT_EQ(shown(all, {"x.example", "default"}, after(9)), "none");
  EXPECT_EQ(all.first_end(), after(2));
}

TEST(Suspensions, DestinationsAreComparedInOneForm) {
  EXPECT_EQ(canonical_destination("X.Example"), "x.example");
  EXPECT_EQ(canonical_destination("*.X.Example"), "*.x.example");
  EXPECT_EQ(canonical_destination("*"), "*");
  EXPECT_EQ(canonical_destination("a*b"), "");
  EXPECT_EQ(canonical_destination(""), "");
  EXPECT_EQ(canonical_destination("x example"), "");
}

}  // namespace
}  // namespace mansio::queue
