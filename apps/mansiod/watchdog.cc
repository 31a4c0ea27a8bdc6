#include "mansiod/watchdog.h"

#include <boost/asio/post.hpp>

#include "net/net.h"

namespace mansio::daemon {

Watchdog::Watchdog(Clock& clock, boost::asio::any_io_executor control,
                   std::vector<boost::asio::any_io_executor> loops)
    : control_(std::move(control)), loops_(std::move(loops)), clock_(clock) {}

void Watchdog::start() {
  const auto time = net::watchdog_time();
  if (!time) return;
  interval_ = *time / 3;  // a round may come a little late
  timer_ = clock_.make_timer(control_);
  ask();
}

void Watchdog::stop() { timer_.reset(); }

void Watchdog::ask() {
  answered_ = std::make_shared<std::size_t>(0);
  for (const auto& loop : loops_) {
    boost::asio::post(loop, [control = control_, answered = answered_] {
      boost::asio::post(control, [answered] { ++*answered; });
    });
  }
  timer_->start(clock_.steady_now() + interval_, [this] { look(); });
}

void Watchdog::look() {
  if (*answered_ < loops_.size()) {
    timer_->start(clock_.steady_now() + interval_, [this] { look(); });
    return;
  }
  net::notify_service_manager("WATCHDOG=1");
  ask();
}

}  // namespace mansio::daemon
