// One loop's way to the spool: collects the operations of a loop turn into one submission, and
// brings the answers back to the loop as one vector.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/event.h"
#include "base/stream.h"
#include "spool/spool.h"

namespace mansio::queue {

/// Runs on: its loop, except completed(). Must outlive the spool's stop().
class SpoolGate final : public spool::CompletionSink {
 public:
  using Continuation = std::function<void(spool::Answer)>;

  SpoolGate(spool::Spool& spool, boost::asio::any_io_executor loop);

  /// `then` runs on the loop.
  void submit(spool::Operation operation, Continuation then);
  /// From a coroutine on any executor.
  Task<spool::Answer> perform(spool::Operation operation);
  Task<spool::Answer> perform(std::unique_ptr<spool::Operation> operation);
  /// All at once, answers in the same order; from a coroutine on any executor.
  Task<std::vector<spool::Answer>> perform_all(std::vector<spool::Operation> operations);
  /// Until nothing is outstanding. From a coroutine on the loop.
  Task<void> idle();

  void completed(std::vector<spool::Answer> answers) override;

  boost::asio::any_io_executor executor() const { return loop_; }

 private:
  void flush();
  void submit(std::unique_ptr<spool::Operation> operation, Continuation then);
  Task<spool::Answer> perform_here(std::unique_ptr<spool::Operation> operation);
  Task<spool::Answer> perform_from_elsewhere(std::unique_ptr<spool::Operation> operation);

  spool::Spool& spool_;
  boost::asio::any_io_executor loop_;
  std::vector<spool::Request> gathered_;
  std::unordered_map<std::uint64_t, Continuation> waiting_;
  std::uint64_t next_tag_ = 1;
  Event changed_;
};

}  // namespace mansio::queue
