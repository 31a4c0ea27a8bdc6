#include "base/task_group.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <stdexcept>

#include "base/event.h"

namespace mansio {
namespace {

using boost::asio::awaitable;

struct TaskGroupTest : testing::Test {
  boost::asio::io_context context;
  TaskGroup group{context.get_executor()};
  Event event{context.get_executor()};
  bool open = false;
  int ended = 0;
  int cancelled = 0;
  bool waited = false;

  awaitable<void> work() {
    try {
      while (!open) co_await event.wait();
      ++ended;
    } catch (const boost::system::system_error&) {
      ++cancelled;
      throw;
    }
  }

  awaitable<void> failing() {
    co_await event.wait();
    throw std::runtime_error("broken");
  }

  awaitable<void> wait() {
    co_await group.wait();
    waited = true;
  }

  void start_waiting() {
    boost::asio::co_spawn(context, wait(), boost::asio::detached);
    context.poll();
  }
};

TEST_F(TaskGroupTest, CloseLetsTasksEnd) {
  EXPECT_TRUE(group.spawn("work", work()));
  EXPECT_TRUE(group.spawn("work", work()));
  start_waiting();
  EXPECT_EQ(group.size(), 2u);
  group.close();
  EXPECT_FALSE(group.spawn("work", work()));
  context.poll();
  EXPECT_FALSE(waited);
  open = true;
  event.notify_all();
  context.poll();
  EXPECT_TRUE(waited);
  EXPECT_EQ(ended, 2);
}

TEST_F(TaskGroupTest, CancelEndsTasksAtTheirNextAwait) {
  group.spawn("work", work());
  context.poll();
  group.spawn("not started yet", work());
  group.cancel();
  start_waiting();
  EXPECT_TRUE(waited);
  EXPECT_EQ(ended, 0);
  EXPECT_GE(cancelled, 1);
  EXPECT_EQ(group.size(), 0u);
}

TEST_F(TaskGroupTest, AnExceptionEndsItsTaskOnly) {
  group.spawn("failing", failing());
  group.spawn("work", work());
  context.poll();
  open = true;
  event.notify_all();
  start_waiting();
  EXPECT_TRUE(waited);
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace mansio
