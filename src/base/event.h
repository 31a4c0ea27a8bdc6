// A condition that coroutines of one executor wait for.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

namespace mansio {

/// Runs on: one executor. A waiter checks its condition again after wait(), which may end early:
///   while (!ready) co_await event.wait();
class Event {
 public:
  explicit Event(boost::asio::any_io_executor executor);

  /// Until the next notify_all(). Cancellation of the coroutine ends it too.
  boost::asio::awaitable<void> wait();
  /// Wakes those that wait now; they run later, never inside this call.
  void notify_all();

 private:
  boost::asio::steady_timer never_;
};

}  // namespace mansio
