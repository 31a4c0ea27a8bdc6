#include "base/event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mansio {

Event::Event(boost::asio::any_io_executor executor)
    : never_(std::move(executor), boost::asio::steady_timer::time_point::max()) {}

boost::asio::awaitable<void> Event::wait() {
  // The timer never expires; cancelling it is what wakes the waiters.
  co_await never_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

void Event::notify_all() { never_.cancel(); }

}  // namespace mansio
