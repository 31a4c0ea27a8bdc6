// The lanes of one event loop at work: drives the pure scheduler with the spool, the clock and the
// sessions, and settles what they bring back. State is confined to the loop.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "base/random.h"
#include "base/task_group.h"
#include "delivery/channel.h"
#include "queue/notices.h"
#include "queue/settlement.h"
#include "queue/spool_gate.h"
#include "queue/suspensions.h"
#include "schedule/scheduler.h"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio::queue {

using Channels = std::map<std::string, std::shared_ptr<delivery::Channel>>;

/// What changes at a reload, taken as one.
struct Configuration {
  std::shared_ptr<const settings::Settings> settings;
  Channels channels;
};

/// Octets of content held in memory by all loops, against one budget.
struct MemoryBudget {
  std::atomic<std::uint64_t> used{0};
  std::atomic<std::uint64_t> limit{0};

  bool reserve(std::uint64_t octets);

  void release(std::uint64_t octets) { used.fetch_sub(octets, std::memory_order_relaxed); }
};

/// The octets, counted against the budget while anybody holds them; null: it has no room.
std::shared_ptr<const std::string> within_budget(const std::shared_ptr<MemoryBudget>& budget,
                                                 std::shared_ptr<const std::string> octets);

/// Work that became durable and belongs to a lane of this shard.
struct NewEntry {
  FlowKey flow;
  schedule::Entry entry;
};

struct ShardStatistics {
  std::uint64_t sessions = 0, window_entries = 0;
  std::uint64_t lanes = 0;           ///< in memory, with work
  std::uint64_t lanes_sleeping = 0;  ///< whose mail waits on disk
  std::uint64_t window_octets = 0;
  std::uint64_t in_flight = 0, deferrals = 0, faults = 0;
};

class Shard {
 public:
  struct Ports {
    spool::Spool& spool;
    Clock& clock;
    boost::asio::any_io_executor loop;
    std::unique_ptr<Random> random;
    std::size_t shards = 1;
    /// Hands committed notices to the shards of their lanes. Called on this loop.
    std::function<void(std::vector<std::shared_ptr<const Message>>)> dispatch;
    NoticeMaker& notices;
    spool::KeepContent keep_content;  ///< for mail that comes from disk
  };

  Shard(Ports ports, Configuration configuration);
  ~Shard();

  // All of these run on the loop.
  void configure(Configuration configuration);
  /// These lanes are stopped from now on: sessions take nothing more of them.
  void suspend(std::shared_ptr<const Suspensions> suspensions);
  void add(std::vector<NewEntry> entries);
  /// Before the loop runs anything of this shard: the flow has mail on disk, due then.
  void remember(const FlowKey& flow, DueCursor place);
  /// Something is due on disk; a nil id stands for a whole flow. After remember(): also begins.
  void on_disk(const std::vector<std::pair<FlowKey, DueCursor>>& places);
  /// An operator made these due: they are tried even if their destination rests.
  void due_by_order(const std::vector<std::pair<FlowKey, DueCursor>>& places);

  /// Takes entries out of the windows for a change by an operator. Gives, for each place, whether
  /// the message is in flight here: then it was left alone.
  std::vector<bool> block(const std::vector<std::pair<FlowKey, DueCursor>>& places);
  /// Ends block() for the places that it did not find in flight.
  void unblock(const std::vector<std::pair<FlowKey, DueCursor>>& places);

  bool in_flight(const FlowKey& flow, const QueueId& id) const {
    return scheduler_.in_flight(flow, id);
  }

  std::optional<schedule::LaneView> view(const LaneKey& lane) const;
  ShardStatistics statistics() const;

  SpoolGate& gate() { return gate_; }

  boost::asio::any_io_executor loop() const { return ports_.loop; }

  /// Starts nothing more; sessions that still run at the deadline are cancelled.
  void begin_stop(SteadyTime deadline);
  /// After begin_stop(): completes when no session is left and every outcome was answered.
  Task<void> wait_stopped();

 private:
  class Work;
  class Idle;
  class Source;
  struct Attempt;

  Time now() const { return ports_.clock.now(); }

  void pump();
  void arm_timer();
  void act(schedule::OpenSession action);
  void act(schedule::LoadPage action);
  void act(schedule::GiveUp action);
  void page_arrived(const FlowKey& flow, Result<spool::DuePage> page);
  schedule::Entry entry_from(const spool::DueEntry& due);
  std::shared_ptr<const Message> shared_message(const spool::DueEntry& due);
  void wake(const LaneKey& lane);
  void wake_all();
  schedule::SchedulerOptions scheduler_options() const;
  bool is_suspended(const LaneKey& lane) const;

  Task<void> run_session(LaneKey lane);
  Task<delivery::SessionReport> run_channel(const LaneKey& lane, Source& source);
  Task<void> hold_due_work(LaneKey lane);
  void session_over(const LaneKey& lane, const delivery::SessionReport& report, bool others_worked);

  void finish(Work& work, std::vector<Disposition> dispositions);
  void put_back(Work& work);
  void abandoned(Work& work);
  void quarantine(const QueueId& id);
  Task<void> settle_with_notices(std::shared_ptr<Attempt> attempt);
  Task<void> give_up(schedule::GiveUp action);
  void submit(std::shared_ptr<Attempt> attempt);
  static void take_back(Attempt& attempt, spool::Answer& answer);
  void answered(const std::shared_ptr<Attempt>& attempt, const spool::Answer& answer);
  void committed(const Attempt& attempt);
  void refused(const std::shared_ptr<Attempt>& attempt, const spool::Answer& answer);
  Task<void> look_again_later(std::shared_ptr<Attempt> attempt);

  Ports ports_;
  Configuration configuration_;
  std::shared_ptr<const Suspensions> suspensions_ = std::make_shared<const Suspensions>();
  schedule::RetrySchedule retry_;
  schedule::Scheduler scheduler_;
  SpoolGate gate_;
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> stop_timer_;
  std::optional<Time> timer_for_;
  TaskGroup sessions_;
  TaskGroup settlements_;                ///< that wait for content before they can be submitted
  std::multimap<LaneKey, Event*> idle_;  ///< sessions that wait for work of their lane
  std::list<Idle*> idle_line_;           ///< the same, the one that waits longest first
  std::unordered_map<QueueId, std::weak_ptr<const Message>> messages_;  ///< in the windows
  std::vector<std::shared_ptr<Attempt>> unresolved_;  ///< nobody knows whether they are recorded
  std::uint64_t deferrals_ = 0;
  std::uint64_t faults_ = 0;
  std::uint64_t generation_ = 0;  ///< of the configuration; a session serves one
  bool pumping_ = false;
  bool stopping_ = false;
  bool stopped_ = false;
  bool latched_ = false;
};

/// The options of [retry] for the pure schedule.
schedule::RetryOptions retry_options(const settings::Settings& settings);
/// Flow and due entries of a committed message, one per lane, for the recipients given.
std::vector<NewEntry> entries_of(std::shared_ptr<const Message> message,
                                 const std::vector<Time>& due);

}  // namespace mansio::queue
