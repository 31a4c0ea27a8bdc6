// The inside of Queue, shared by queue.cc (accepting, start and stop), operator.cc (list, why, bulk
// verbs) and as_target.cc (a queue as the target of another).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "queue/await.h"
#include "queue/queue.h"
#include "queue/shard.h"

namespace mansio {

class Queue::Impl {
 public:
  Impl(Ports ports, std::shared_ptr<const settings::Settings> settings);

  void start();
  Task<void> stop(SteadyTime deadline);
  void reload(std::shared_ptr<const settings::Settings> settings, queue::Channels channels);
  std::shared_ptr<const settings::Settings> settings() const;

  QueueId new_id();
  bool accepting(std::string* reason) const;
  Task<Admitted> admit(Submission submission);

  Task<Result<QueueListPage>> list(QueueSelector selector, std::string resume, std::size_t limit);
  Task<Result<spool::StoredMessagePtr>> get(QueueId id);
  Task<Result<std::vector<Wait>>> why(QueueId id);
  Task<BulkResult> apply(spool::Verb verb, QueueSelector selector, std::string reason,
                         std::string actor, bool dry_run);
  Task<std::vector<LaneStatus>> lanes();
  Task<QueueStatistics> statistics();

  template <class T>
  Task<Result<T>> read(std::function<void(spool::Done<T>)> start) {
    return queue::answer_of<Result<T>>(std::move(start));
  }

  std::shared_ptr<queue::MemoryBudget> memory = std::make_shared<queue::MemoryBudget>();
  Ports ports;

 private:
  using Place = std::pair<FlowKey, DueCursor>;

  std::size_t shard_of(const LaneKey& lane) const;
  queue::Shard& shard_here(const boost::asio::any_io_executor& executor);
  Message message_from(Submission submission) const;
  void keep_in_memory(Message& message);
  void dispatch(const std::shared_ptr<const Message>& message, const std::vector<Time>& due,
                const queue::Shard* here);
  void load_flows();
  void recover_in_doubt();
  Task<void> explain_stop(QueueId id, std::uint32_t recipient, Wait& wait);
  Task<void> expire_held();
  Task<void> watch_lifetimes();
  Task<void> end_watchers();

  Task<void> add_living_states(std::vector<ListedMessage>& messages);
  using PlacesByShard = std::vector<std::vector<Place>>;
  Task<void> block_in_shards(const std::vector<ListedMessage>& messages,
                             std::vector<std::vector<std::uint32_t>>& recipients,
                             PlacesByShard& blocked);
  Task<void> drop_changed(const std::vector<ListedMessage>& messages,
                          std::vector<std::vector<std::uint32_t>>& recipients);
  Task<void> add_changes(const ListedMessage& listed, const std::vector<std::uint32_t>& recipients,
                         const spool::Change& pattern, std::vector<spool::Operation>& operations);
  Task<void> change_page(const std::vector<ListedMessage>& messages, const spool::Change& pattern,
                         BulkResult& result);
  Task<void> change_blocked(const std::vector<ListedMessage>& messages,
                            const spool::Change& pattern,
                            std::vector<std::vector<std::uint32_t>>& recipients,
                            PlacesByShard& blocked, PlacesByShard& due_now, BulkResult& result);

  mutable std::mutex settings_mutex_;
  std::shared_ptr<const settings::Settings> settings_;  // guarded by settings_mutex_

  std::unique_ptr<Random> id_random_;  // guarded by id_mutex_
  IdSource ids_;                       // guarded by id_mutex_
  std::mutex id_mutex_;

  queue::NoticeMaker notices_;
  std::vector<std::unique_ptr<queue::Shard>> shards_;
  std::unique_ptr<TaskGroup> watchers_;  // on the first loop
  std::atomic<bool> stopping_{false};
};

}  // namespace mansio
