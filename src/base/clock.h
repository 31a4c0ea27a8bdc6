// The clock port. Pure code takes `now` as an argument; coroutines sleep on a Clock, so that tests
// and the simulator replace time by a virtual one.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "base/time.h"

namespace mansio {

/// A pending wake-up. Destroying or cancelling it means the function is not called.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Calls `fire` once on the timer's executor at `when`; replaces a pending one.
  virtual void start(SteadyTime when, std::function<void()> fire) = 0;
  virtual void cancel() = 0;
};

/// Thread safety: now() and steady_now() from any thread; timers belong to their executor.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
  virtual SteadyTime steady_now() const = 0;
  virtual std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor executor) = 0;
};

/// Sleeps on the current coroutine's executor. Cancellation ends it early.
boost::asio::awaitable<void> sleep_for(Clock& clock, Duration duration);

/// The machine's clocks.
std::unique_ptr<Clock> make_system_clock();

}  // namespace mansio
