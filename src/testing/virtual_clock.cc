#include "testing/virtual_clock.h"

#include <boost/asio/post.hpp>
#include <optional>

namespace mansio::fake {

class VirtualClock::VirtualTimer final : public Timer {
 public:
  VirtualTimer(std::shared_ptr<State> state, boost::asio::any_io_executor executor)
      : state_(std::move(state)), executor_(std::move(executor)) {}

  ~VirtualTimer() override { cancel(); }

  void start(SteadyTime when, std::function<void()> fire) override {
    cancel();
    fire_ = std::make_shared<std::function<void()>>(std::move(fire));
    key_ = {when, ++state_->started};
    state_->timers.emplace(*key_, this);
  }

  void cancel() override {
    if (key_) state_->timers.erase(*key_);
    key_.reset();
    fire_.reset();  // also takes back what has been posted and has not run
  }

  void post() {
    state_->timers.erase(*key_);
    key_.reset();
    boost::asio::post(executor_, [weak = std::weak_ptr(fire_)] {
      if (const auto fire = weak.lock()) (*fire)();
    });
  }

 private:
  std::shared_ptr<State> state_;
  boost::asio::any_io_executor executor_;
  std::shared_ptr<std::function<void()>> fire_;
  std::optional<std::pair<SteadyTime, std::uint64_t>> key_;
};

VirtualClock::VirtualClock()
    : VirtualClock(
          Time(std::chrono::sys_days(std::chrono::year(2026) / 1 / 1).time_since_epoch())) {}

VirtualClock::VirtualClock(Time start) : now_(start), steady_now_(std::chrono::hours(1)) {}

std::unique_ptr<Timer> VirtualClock::make_timer(boost::asio::any_io_executor executor) {
  return std::make_unique<VirtualTimer>(state_, std::move(executor));
}

void VirtualClock::move_to(SteadyTime when) {
  if (when <= steady_now_) return;
  now_ += when - steady_now_;
  steady_now_ = when;
}

bool VirtualClock::advance_to_next(SteadyTime limit) {
  if (state_->timers.empty()) return false;
  const auto& [key, timer] = *state_->timers.begin();
  if (key.first > limit) return false;
  move_to(key.first);
  timer->post();
  return true;
}

void VirtualClock::advance(Duration duration) {
  const auto until = steady_now_ + duration;
  while (advance_to_next(until)) {
  }
  move_to(until);
}

void VirtualClock::advance(boost::asio::io_context& context, Duration duration) {
  const auto until = steady_now_ + duration;
  run_until_idle(context);
  while (advance_to_next(until)) run_until_idle(context);
  move_to(until);
}

std::size_t run_until_idle(boost::asio::io_context& context) {
  std::size_t total = 0;
  for (;;) {
    context.restart();
    const auto ran = context.poll();
    if (ran == 0) return total;
    total += ran;
  }
}

void run_until_done(boost::asio::io_context& context, VirtualClock& clock, Duration limit) {
  const auto until = clock.steady_now() + limit;
  do {
    run_until_idle(context);
  } while (clock.advance_to_next(until));
}

}  // namespace mansio::fake
