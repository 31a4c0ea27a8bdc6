// Runs a coroutine to its end on virtual time, from a plain test function.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "testing/virtual_clock.h"

namespace mansio::fake {

/// The outcome of a coroutine that run() waits for; shared, since a task may outlive its run().
template <class T>
struct RunState {
  std::optional<T> value;
  std::exception_ptr failure;
  bool done = false;
};

template <class T>
boost::asio::awaitable<void> keep_outcome(boost::asio::awaitable<T> task,
                                          std::shared_ptr<RunState<T>> outcome) {
  outcome->value.emplace(co_await std::move(task));
}

/// The task's result; its exception goes on to the caller. Moves `clock` from timer to timer when
/// nothing is ready. Throws std::runtime_error if the task waits for something that never comes,
/// or longer than `limit` of virtual time.
template <class T>
T run(boost::asio::io_context& context, VirtualClock& clock, boost::asio::awaitable<T> task,
      Duration limit = std::chrono::hours(24 * 30)) {
  using Value = std::conditional_t<std::is_void_v<T>, bool, T>;
  const auto outcome = std::make_shared<RunState<Value>>();
  const auto finish = [outcome](std::exception_ptr error) {
    outcome->failure = error;
    outcome->done = true;
  };
  if constexpr (std::is_void_v<T>) {
    boost::asio::co_spawn(context, std::move(task), finish);
  } else {
    boost::asio::co_spawn(context, keep_outcome<T>(std::move(task), outcome), finish);
  }

  const auto until = clock.steady_now() + limit;
  do {
    // One handler at a time, so that time does not move on once the task is done.
    context.restart();
    while (!outcome->done && context.poll_one() > 0) {
    }
  } while (!outcome->done && clock.advance_to_next(until));
  if (!outcome->done) throw std::runtime_error("the task waits for something that never comes");
  if (outcome->failure) std::rethrow_exception(outcome->failure);
  if constexpr (!std::is_void_v<T>) return std::move(*outcome->value);
}

/// The same without a clock: for tasks that wait for other coroutines and in-memory streams only.
template <class T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> task) {
  VirtualClock clock;
  return run(context, clock, std::move(task));
}

}  // namespace mansio::fake
