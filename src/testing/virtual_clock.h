// Time that moves only when a test moves it. A day of retries takes a millisecond.
// Thread safety: none; test and coroutines run on one thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"

namespace mansio::fake {

class VirtualClock final : public Clock {
 public:
  /// Starts at 2026-01-01T00:00:00Z.
  VirtualClock();
  explicit VirtualClock(Time start);

  Time now() const override { return now_; }

  SteadyTime steady_now() const override { return steady_now_; }

  std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor executor) override;

  /// Moves to the next timer at or before `limit`, which posts its function to its executor.
  /// False (and no move) if there is none.
  bool advance_to_next(SteadyTime limit = SteadyTime::max());
  /// Moves by `duration`, posting the functions of all timers that are due by then, in order of
  /// time. What they in turn start does not fire: use the overload for that.
  void advance(Duration duration);
  /// Moves by `duration` and runs `context` until idle at each timer on the way.
  void advance(boost::asio::io_context& context, Duration duration);

  /// Moves the wall clock alone, as an operator would.
  void set_wall_clock(Time now) { now_ = now; }

  /// Number of pending timers.
  std::size_t pending() const { return state_->timers.size(); }

 private:
  class VirtualTimer;

  struct State {
    /// By time, then in order of start.
    std::map<std::pair<SteadyTime, std::uint64_t>, VirtualTimer*> timers;
    std::uint64_t started = 0;
  };

  void move_to(SteadyTime when);

  Time now_;
  SteadyTime steady_now_;
  std::shared_ptr<State> state_ = std::make_shared<State>();  // timers may outlive the clock
};

/// Runs handlers until none is ready. Gives their number.
std::size_t run_until_idle(boost::asio::io_context& context);

/// Runs handlers, and moves the clock from timer to timer, until nothing is left to do or `limit`
/// has passed. For coroutines that end by themselves.
void run_until_done(boost::asio::io_context& context, VirtualClock& clock,
                    Duration limit = std::chrono::hours(24 * 30));

}  // namespace mansio::fake
