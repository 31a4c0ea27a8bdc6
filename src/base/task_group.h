// The coroutines that one object has spawned: refuse new ones, end the old, wait for them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

namespace mansio {

/// Runs on: one executor. The destructor asserts that the group is empty: call stop() and wait.
class TaskGroup {
 public:
  explicit TaskGroup(boost::asio::any_io_executor executor);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts `task` unless the group is stopping (then it is destroyed unstarted, and false comes
  /// back). An exception that leaves the task is logged under `name` and ends that task only.
  bool spawn(const char* name, boost::asio::awaitable<void> task);

  /// Refuses further tasks and cancels those that run (operation_aborted at their next await).
  void cancel();
  /// Refuses further tasks, lets those that run go on.
  void close();
  /// Completes when no task is left.
  boost::asio::awaitable<void> wait();

  std::size_t size() const;
  bool stopping() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the running tasks
};

}  // namespace mansio
