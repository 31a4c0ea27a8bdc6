#include "base/loops.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <thread>

#include "base/assert.h"
#include "base/log.h"

namespace mansio {

struct Loops::Loop {
  boost::asio::io_context context{1};  // one thread runs it; others may post
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  std::thread thread;

  void run() {
    try {
      context.run();
    } catch (const std::exception& error) {
      // A handler's state is unknown now: recovery from the spool is the tested way on.
      log::error("loop_failed").field("error", error.what());
      log::flush();
      std::terminate();
    }
  }
};

Loops::Loops(std::size_t count) {
  MANSIO_ASSERT(count > 0);
  for (std::size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<Loop>());
}

Loops::~Loops() { stop(); }

void Loops::start() {
  for (const auto& loop : loops_) {
    MANSIO_ASSERT(!loop->thread.joinable());
    loop->thread = std::thread([&its_loop = *loop] { its_loop.run(); });
  }
}

void Loops::stop() {
  for (const auto& loop : loops_) loop->context.stop();
  for (const auto& loop : loops_) {
    if (loop->thread.joinable()) loop->thread.join();
  }
}

std::size_t Loops::size() const { return loops_.size(); }

boost::asio::any_io_executor Loops::at(std::size_t index) {
  return loops_.at(index)->context.get_executor();
}

std::vector<boost::asio::any_io_executor> Loops::all() {
  std::vector<boost::asio::any_io_executor> executors;
  for (const auto& loop : loops_) executors.emplace_back(loop->context.get_executor());
  return executors;
}

}  // namespace mansio
