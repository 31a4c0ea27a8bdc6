#include "base/task_group.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <list>
#include <vector>

#include "base/assert.h"
#include "base/event.h"
#include "base/log.h"

namespace mansio {
namespace {

void report(const char* name, const std::exception_ptr& failure, bool stopping) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    // The expected way out of a cancelled task.
    if (stopping && error.code() == boost::asio::error::operation_aborted) return;
    log::error("task_failed").field("task", name).field("error", error.what());
  } catch (const std::exception& error) {
    log::error("task_failed").field("task", name).field("error", error.what());
  }
}

}  // namespace

struct TaskGroup::State {
  struct Running {
    boost::asio::cancellation_signal signal;
  };

  explicit State(boost::asio::any_io_executor its_executor)
      : executor(its_executor), changed(std::move(its_executor)) {}

  boost::asio::any_io_executor executor;
  Event changed;
  std::list<std::shared_ptr<Running>> running;
  bool stopping = false;
};

TaskGroup::TaskGroup(boost::asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

TaskGroup::~TaskGroup() { MANSIO_ASSERT(state_->running.empty()); }

bool TaskGroup::spawn(const char* name, boost::asio::awaitable<void> task) {
  if (state_->stopping) return false;
  const auto entry = std::make_shared<State::Running>();
  const auto place = state_->running.insert(state_->running.end(), entry);
  auto done = [state = state_, entry, place, name](const std::exception_ptr& failure) {
    state->running.erase(place);
    report(name, failure, state->stopping);
    state->changed.notify_all();
  };
  boost::asio::co_spawn(state_->executor, std::move(task),
                        boost::asio::bind_cancellation_slot(entry->signal.slot(), std::move(done)));
  return true;
}

void TaskGroup::cancel() {
  close();
  // A copy: what the signal sets off may end tasks.
  const std::vector<std::shared_ptr<State::Running>> running(state_->running.begin(),
                                                             state_->running.end());
  for (const auto& entry : running) {
    entry->signal.emit(boost::asio::cancellation_type::terminal);
  }
}

void TaskGroup::close() { state_->stopping = true; }

boost::asio::awaitable<void> TaskGroup::wait() {
  const auto state = state_;
  while (!state->running.empty()) co_await state->changed.wait();
}

std::size_t TaskGroup::size() const { return state_->running.size(); }

bool TaskGroup::stopping() const { return state_->stopping; }

}  // namespace mansio
