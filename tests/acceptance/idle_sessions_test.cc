// Sessions that have delivered everything and wait for more mail of their lane: a connection that
// is kept for reuse. Many lanes of one message each must not fill memory with them.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "acceptance/queue_world.h"

namespace mansio::acceptance {
namespace {

/// Delivers everything, and waits for more of it for an hour.
class PatientChannel final : public delivery::Channel {
 public:
  Task<delivery::SessionReport> run(delivery::SessionRequest request,
                                    delivery::WorkSource& source) override {
    ++sessions;
    bool more = true;
    while (more) {
      while (auto work = source.next()) {
        Disposition delivered;
        delivered.outcome = Outcome::delivered;
        delivered.reply = {250, {2, 0, 0}, "ok"};
        delivered.stage = Stage::final_dot;
        std::vector<Disposition> all(work->recipients().size(), delivered);
        source.finished(std::move(work), std::move(all));
      }
      ++waiting;
      most = std::max(most, waiting);
      more = co_await source.wait(std::chrono::hours(1));
      --waiting;
      if (more) ++used_again;
    }
    ended.push_back(request.lane.destination);
    co_return delivery::SessionReport{};
  }

  std::string describe(const std::string&) const override { return ""; }

  std::size_t sessions = 0, waiting = 0, most = 0, used_again = 0;
  std::vector<std::string> ended;
};

TEST(IdleSessions, AreNotMoreThanAThousandAndTheOldestEndsFirst) {
  World world;
  const auto channel = std::make_shared<PatientChannel>();
  world.queue().reload(std::make_shared<settings::Settings>(world.settings()),
                       {{"scripted", channel}});
  world.settle();
  for (int number = 0; number < 1100; ++number) {
    world.submit("s@sender.test", {"r@d" + std::to_string(number) + ".test"});
  }
  world.settle();
  EXPECT_EQ(world.totals().delivered, 1100u);
  EXPECT_EQ(channel->waiting, 1000u);
  ASSERT_EQ(channel->ended.size(), 100u);
  EXPECT_EQ(channel->ended.front(), "d0.test");
  // One that was kept takes more; of one that was ended there is a new one.
  world.submit("s@sender.test", {"r@d1099.test"});
  world.settle();
  EXPECT_EQ(channel->used_again, 1u);
  EXPECT_EQ(channel->sessions, 1100u);
  world.submit("s@sender.test", {"r@d0.test"});
  world.settle();
  EXPECT_EQ(channel->sessions, 1101u);
  world.run_until([&channel] { return channel->waiting == 0; });
  EXPECT_EQ(channel->waiting, 0u);
  EXPECT_EQ(world.totals().delivered, 1102u);
}

}  // namespace
}  // namespace mansio::acceptance
