// Bulk verbs that run on after their request was answered: each has a number, counts while it runs,
// can be cancelled, and is remembered for a while after its end.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/request.h"
#include "base/task_group.h"
#include "queue/queue.h"

namespace mansio::admin {

/// What a bulk verb did, and what it was asked for.
struct Job {
  enum class State : std::uint8_t { running, done, cancelled, failed };

  std::uint64_t number = 0;
  std::string verb;
  std::string reason;
  std::string actor;
  bool dry_run = false;
  Time started_at{};
  Time ended_at{};  ///< epoch zero while it runs
  State state = State::running;
  std::shared_ptr<BulkProgress> progress = std::make_shared<BulkProgress>();
  BulkResult result;             ///< when it has ended
  std::vector<QueueId> missing;  ///< ids asked for that are not in the queue
};

/// All members of Job; counts of a running one are those of the moment.
Json job_json(const Job& job);

/// Ids of `ids` that are not in the queue.
Task<std::vector<QueueId>> missing_ids(Queue& queue, std::vector<QueueId> ids);

/// Bounded: at most `running_max` run at a time; those that ended are forgotten after `keep`, or
/// when there are more than `ended_max`. Runs on: one executor. stop() before destruction.
class JobBook {
 public:
  static constexpr std::size_t running_max = 8;
  static constexpr std::size_t ended_max = 100;
  static constexpr Duration keep = std::chrono::hours(1);

  JobBook(boost::asio::any_io_executor executor, Queue& queue, Clock& clock);

  /// Null: too many run, or the book is stopping.
  std::shared_ptr<const Job> start(spool::Verb verb, std::string name, ChangeRequest wanted,
                                   std::string actor);
  /// Null: there is no such job.
  std::shared_ptr<const Job> find(std::uint64_t number);
  /// The job ends after the page it is at; one that has ended stays as it is. Null: none.
  std::shared_ptr<const Job> cancel(std::uint64_t number);
  /// Oldest first.
  std::vector<std::shared_ptr<const Job>> all();
  /// Cancels what runs and waits for it.
  Task<void> stop();

 private:
  Task<void> run(std::shared_ptr<Job> job, spool::Verb verb, ChangeRequest wanted);
  void forget();

  Queue& queue_;
  Clock& clock_;
  TaskGroup tasks_;
  std::map<std::uint64_t, std::shared_ptr<Job>> jobs_;
  std::uint64_t last_ = 0;
};

}  // namespace mansio::admin
