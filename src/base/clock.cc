#include "base/clock.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/event.h"

namespace mansio {
namespace {

/// Far enough, and SteadyTime::max() in nanoseconds would overflow.
constexpr auto kFar = std::chrono::days(3650);

class AsioTimer final : public Timer {
 public:
  explicit AsioTimer(boost::asio::any_io_executor executor)
      : state_(std::make_shared<State>(std::move(executor))) {}

  ~AsioTimer() override { cancel(); }

  void start(SteadyTime when, std::function<void()> fire) override {
    state_->fire = std::move(fire);
    const auto generation = ++state_->generation;
    const auto now = std::chrono::steady_clock::now();
    if (when > now + kFar) {
      state_->timer.expires_at(now + kFar);
    } else {
      state_->timer.expires_at(when);
    }
    state_->timer.async_wait([state = state_, generation](const boost::system::error_code& error) {
      // A wait that had expired before it was replaced or cancelled still arrives, without error.
      if (error || state->generation != generation) return;
      // The function may destroy or restart this timer.
      const auto call = std::exchange(state->fire, nullptr);
      call();
    });
  }

  void cancel() override {
    ++state_->generation;
    state_->fire = nullptr;
    state_->timer.cancel();
  }

 private:
  struct State {
    explicit State(boost::asio::any_io_executor executor) : timer(std::move(executor)) {}

    boost::asio::steady_timer timer;
    std::function<void()> fire;
    std::uint64_t generation = 0;
  };

  std::shared_ptr<State> state_;
};

class SystemClock final : public Clock {
 public:
  Time now() const override {
    return std::chrono::floor<Duration>(std::chrono::system_clock::now());
  }

  SteadyTime steady_now() const override {
    return std::chrono::floor<Duration>(std::chrono::steady_clock::now());
  }

  std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor executor) override {
    return std::make_unique<AsioTimer>(std::move(executor));
  }
};

}  // namespace

boost::asio::awaitable<void> sleep_for(Clock& clock, Duration duration) {
  if (duration <= Duration::zero()) co_return;
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto now = clock.steady_now();
  const auto wake = duration > SteadyTime::max() - now ? SteadyTime::max() : now + duration;
  Event fired(executor);
  const auto timer = clock.make_timer(executor);
  timer->start(wake, [&fired] { fired.notify_all(); });
  co_await fired.wait();
}

std::unique_ptr<Clock> make_system_clock() { return std::make_unique<SystemClock>(); }

}  // namespace mansio
