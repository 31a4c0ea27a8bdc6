#include "testing/virtual_clock.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <vector>

#include "testing/run.h"

namespace mansio::fake {
namespace {

using namespace std::chrono_literals;

struct VirtualClockTest : ::testing::Test {
  boost::asio::io_context context;
  VirtualClock clock;
  std::vector<std::pair<int, Time>> woken;
  const Time start = clock.now();

  boost::asio::awaitable<void> sleeper(int name, Duration duration) {
    co_await sleep_for(clock, duration);
    woken.emplace_back(name, clock.now());
  }

  boost::asio::awaitable<int> repeated(Duration duration, int times) {
    for (int i = 0; i < times; ++i) co_await sleep_for(clock, duration);
    co_return times;
  }
};

TEST_F(VirtualClockTest, SleepersWakeInOrderAtTheirTimes) {
  co_spawn(context, sleeper(1, 3h), boost::asio::detached);
  co_spawn(context, sleeper(2, 1s), boost::asio::detached);
  co_spawn(context, sleeper(3, 3h), boost::asio::detached);
  run_until_idle(context);
  EXPECT_TRUE(woken.empty());
  EXPECT_EQ(clock.pending(), 3u);
  clock.advance(context, 2h);
  clock.advance(context, 2h);
  const std::vector<std::pair<int, Time>> expected{
      {2, start + 1s}, {1, start + 3h}, {3, start + 3h}};
  EXPECT_EQ(woken, expected);
  EXPECT_EQ(clock.now(), start + 4h);
}

TEST_F(VirtualClockTest, ADayOfWaitsTakesNoTime) {
  EXPECT_EQ(run(context, clock, repeated(15min, 96)), 96);
  EXPECT_EQ(clock.now(), start + 24h);
}

TEST_F(VirtualClockTest, RunSaysWhenNothingCanHappen) {
  EXPECT_THROW(run(context, clock, repeated(1h, 50), 24h), std::runtime_error);
}

TEST_F(VirtualClockTest, ACancelledOrDestroyedTimerIsSilent) {
  int fired = 0;
  auto one = clock.make_timer(context.get_executor());
  auto two = clock.make_timer(context.get_executor());
  auto three = clock.make_timer(context.get_executor());
  for (auto* timer : {one.get(), two.get(), three.get()}) {
    timer->start(clock.steady_now() + 1s, [&fired] { ++fired; });
  }
  one->cancel();
  clock.advance(1s);
  two.reset();  // its function has been posted already
  run_until_idle(context);
  EXPECT_EQ(fired, 1);
}

TEST_F(VirtualClockTest, TheSystemTimerFiresOnceAndCanBeReplaced) {
  const auto system = make_system_clock();
  int fired = 0;
  const auto timer = system->make_timer(context.get_executor());
  timer->start(SteadyTime::max(), [&fired] { fired += 100; });
  timer->start(system->steady_now(), [&fired] { ++fired; });
  context.run();
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace mansio::fake
