#include "queue/spool_gate.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "queue/await.h"

namespace mansio::queue {

SpoolGate::SpoolGate(spool::Spool& spool, boost::asio::any_io_executor loop)
    : spool_(spool), loop_(loop), changed_(loop) {}

void SpoolGate::submit(spool::Operation operation, Continuation then) {
  submit(std::make_unique<spool::Operation>(std::move(operation)), std::move(then));
}

void SpoolGate::submit(std::unique_ptr<spool::Operation> operation, Continuation then) {
  const std::uint64_t tag = next_tag_++;
  waiting_.emplace(tag, std::move(then));
  // What the other handlers of this turn submit joins: the flush runs behind them.
  if (gathered_.empty()) boost::asio::post(loop_, [this] { flush(); });
  gathered_.push_back({tag, std::move(operation)});
}

void SpoolGate::flush() { spool_.submit(std::exchange(gathered_, {}), *this); }

void SpoolGate::completed(std::vector<spool::Answer> answers) {
  boost::asio::post(loop_, [this, answers = std::move(answers)]() mutable {
    for (spool::Answer& answer : answers) {
      auto found = waiting_.extract(answer.tag);
      MANSIO_ASSERT(!found.empty());
      found.mapped()(std::move(answer));
    }
    if (waiting_.empty()) changed_.notify_all();
  });
}

/// Not a coroutine: the operation is large, and would be moved into each of them.
Task<spool::Answer> SpoolGate::perform(spool::Operation operation) {
  return perform(std::make_unique<spool::Operation>(std::move(operation)));
}

Task<spool::Answer> SpoolGate::perform(std::unique_ptr<spool::Operation> operation) {
  const boost::asio::any_io_executor here = co_await boost::asio::this_coro::executor;
  auto performing = here == loop_ ? perform_here(std::move(operation))
                                  : perform_from_elsewhere(std::move(operation));
  co_return co_await std::move(performing);
}

/// The caller goes on within the handler that brought the answer. REQUIRES: it runs on the loop.
Task<spool::Answer> SpoolGate::perform_here(std::unique_ptr<spool::Operation> operation) {
  auto initiate = [this](auto handler, std::unique_ptr<spool::Operation> what) {
    auto caller = std::make_shared<decltype(handler)>(std::move(handler));
    submit(std::move(what), [caller = std::move(caller)](spool::Answer answer) {
      auto go_on = std::move(*caller);
      go_on(std::move(answer));
    });
  };
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(spool::Answer)>(
      initiate, boost::asio::use_awaitable, std::move(operation));
}

Task<spool::Answer> SpoolGate::perform_from_elsewhere(std::unique_ptr<spool::Operation> operation) {
  auto shared = std::make_shared<std::unique_ptr<spool::Operation>>(std::move(operation));
  std::function<void(std::function<void(spool::Answer)>)> start =
      [this, shared](std::function<void(spool::Answer)> done) {
        boost::asio::dispatch(loop_, [this, shared, done = std::move(done)]() mutable {
          submit(std::move(*shared), std::move(done));
        });
      };
  auto waiting = answer_of<spool::Answer>(std::move(start));
  co_return co_await std::move(waiting);
}

Task<std::vector<spool::Answer>> SpoolGate::perform_all(std::vector<spool::Operation> operations) {
  using Answers = std::vector<spool::Answer>;
  if (operations.empty()) co_return Answers{};
  auto shared = std::make_shared<std::vector<spool::Operation>>(std::move(operations));
  std::function<void(std::function<void(Answers)>)> start =
      [this, shared](std::function<void(Answers)> done) {
        boost::asio::dispatch(loop_, [this, shared, done = std::move(done)] {
          auto answers = std::make_shared<Answers>(shared->size());
          auto left = std::make_shared<std::size_t>(shared->size());
          for (std::size_t index = 0; index < shared->size(); ++index) {
            submit(std::move((*shared)[index]), [answers, left, index, done](spool::Answer answer) {
              (*answers)[index] = std::move(answer);
              if (--*left == 0) done(std::move(*answers));
            });
          }
        });
      };
  auto waiting = answer_of<Answers>(std::move(start));
  co_return co_await std::move(waiting);
}

Task<void> SpoolGate::idle() {
  while (!waiting_.empty()) co_await changed_.wait();
}

}  // namespace mansio::queue
