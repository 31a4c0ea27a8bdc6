// Bridges from callbacks and other loops to coroutines. The coroutine always goes on where it was.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/stream.h"

namespace mansio::queue {

/// Calls `start` with a function that takes the answer, from any thread, once. `T` need not have a
/// default value.
template <class T>
Task<T> answer_of(std::function<void(std::function<void(T)>)> start) {
  auto initiate = [](auto handler, std::function<void(std::function<void(T)>)> begin) {
    using Handler = decltype(handler);
    auto executor = boost::asio::get_associated_executor(handler);
    auto shared = std::make_shared<Handler>(std::move(handler));
    begin([shared, executor](T value) {
      auto boxed = std::make_shared<T>(std::move(value));
      boost::asio::post(executor, [shared, boxed]() mutable {
        auto call = std::move(*shared);
        shared.reset();
        call(std::move(boxed));
      });
    });
  };
  auto waiting =
      boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(std::shared_ptr<T>)>(
          initiate, boost::asio::use_awaitable, std::move(start));
  auto boxed = co_await std::move(waiting);
  co_return std::move(*boxed);
}

/// Runs `function` on `executor` and gives its value.
template <class F>
Task<std::invoke_result_t<F>> run_on(boost::asio::any_io_executor executor, F function) {
  using T = std::invoke_result_t<F>;
  std::function<void(std::function<void(T)>)> start = [executor, function = std::move(function)](
                                                          std::function<void(T)> done) {
    boost::asio::post(executor, [function, done = std::move(done)]() mutable { done(function()); });
  };
  auto waiting = answer_of<T>(std::move(start));
  co_return co_await std::move(waiting);
}

}  // namespace mansio::queue
