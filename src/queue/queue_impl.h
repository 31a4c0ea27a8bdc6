// The inside of Queue, shared by queue.cc (accepting, start and stop), operator.cc (list, why, bulk
// verbs), overview.cc (lanes, shape), stopping_lanes.cc (suspensions, draining) and as_target.cc (a
// queue as the target of another).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "queue/await.h"
#include "queue/delay_watch.h"
#include "queue/queue.h"
#include "queue/shard.h"
#include "queue/suspensions.h"

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
                         std::string actor, bool dry_run, std::shared_ptr<BulkProgress> progress);
  Task<std::vector<LaneStatus>> lanes();
  Task<Result<Shape>> shape(QueueSelector selector, std::vector<Duration> bounds,
                            std::size_t rows_max);
  Task<spool::Status> suspend(spool::Suspension suspension);
  Task<spool::Status> resume(std::string destination, std::string binding, std::string actor);
  std::shared_ptr<const queue::Suspensions> suspensions() const;
  void drain(bool on, std::string reason, const std::string& actor);
  std::optional<std::string> draining() const;
  Task<spool::Status> record(spool::Record record);
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
  Admitted refusal_of(const Submission& submission) const;
  void discard_refused(const Admitted& admitted, const QueueId& sealed);
  void keep_in_memory(Message& message);
  std::shared_ptr<const std::string> keep_paged(std::string octets);
  void dispatch(const std::shared_ptr<const Message>& message, const std::vector<Time>& due,
                const queue::Shard* here);
  void dispatch_notice(Message notice, const std::vector<Time>& due, const queue::Shard* here);
  void load_flows();
  void recover_in_doubt();
  Task<void> explain_stop(QueueId id, std::uint32_t recipient, Wait& wait);
  Task<void> expire_stopped(LivingState state, Time accepted_before);
  Task<void> watch_lifetimes();
  Task<std::optional<schedule::LaneView>> lane_view(LaneKey lane);
  Task<void> end_watchers();

  Task<void> spread_suspensions();
  Task<spool::Status> change_suspension(spool::Suspend change, bool only_if_over);
  Task<spool::Status> change_suspension_in_turn(spool::Suspend change);
  Task<void> watch_suspensions();

  /// Whether a page is to say the living states also where the selector does not ask for one.
  enum class States : std::uint8_t { all, if_selected };
  Task<Result<QueueListPage>> list_page(QueueSelector selector, std::string resume,
                                        std::size_t limit, States states);
  Task<void> add_views(std::vector<LaneStatus>& lanes, std::size_t begin);

  Task<void> give_way(Duration rest);
  Task<void> add_living_states(std::vector<ListedMessage>& messages);
  using PlacesByShard = std::vector<std::vector<Place>>;
  Task<void> block_in_shards(const std::vector<ListedMessage>& messages,
                             std::vector<std::vector<std::uint32_t>>& recipients,
                             PlacesByShard& blocked, bool dry_run, BulkResult& result);
  Task<void> drop_changed(const std::vector<ListedMessage>& messages,
                          std::vector<std::vector<std::uint32_t>>& recipients);
  Task<void> add_changes(const ListedMessage& listed, const std::vector<std::uint32_t>& recipients,
                         const spool::Change& pattern, std::vector<spool::Operation>& operations);
  Task<void> count_changes(const std::vector<ListedMessage>& messages, spool::Verb verb,
                           BulkResult& result);
  Task<void> change_page(std::vector<ListedMessage> messages, spool::Change pattern,
                         BulkResult& result);
  Task<void> change_step(const std::vector<ListedMessage>& messages, const spool::Change& pattern,
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
  std::unique_ptr<queue::DelayWatch> delay_watch_;  // on the first loop
  std::unique_ptr<TaskGroup> watchers_;             // on the first loop
  std::atomic<bool> stopping_{false};

  mutable std::mutex suspensions_mutex_;
  std::shared_ptr<const queue::Suspensions> suspensions_;  // guarded by suspensions_mutex_
  std::unique_ptr<Event> suspension_changed_;              // on the first loop
  bool suspension_changes_ = false;                        // on the first loop
  mutable std::mutex drain_mutex_;
  std::optional<std::string> drain_reason_;  // guarded by drain_mutex_; set: it drains
};

}  // namespace mansio
