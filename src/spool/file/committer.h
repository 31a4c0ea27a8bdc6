// The only writer of durable state: two threads in a pipeline. The committer applies what was
// submitted, builds a group and appends it to the journal; the sync thread makes the group before
// durable meanwhile, merges it into the index and answers. No timed gathering: a group is what
// arrived while the one before was being synced.
// Thread safety: every function from any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "spool/file/store.h"

namespace mansio::spool {

/// A survivor to be copied out of segment `from`.
struct Relocation {
  QueueId id;
  std::uint64_t from = 0;
  std::string content;
};

class Committer {
 public:
  /// `kick` wakes the housekeeper: a prepared segment was taken.
  Committer(Store& store, std::function<void()> kick);
  ~Committer();

  void submit(std::vector<Request> requests, CompletionSink& sink);
  /// A change of the spool's own; nobody waits for the answer.
  void submit(Operation operation);
  void submit(std::vector<Relocation> relocations);
  /// Rows that a reader found in a view of `group`: see WorkingSet::offer(). Cheap, and dropped
  /// when many wait.
  void offer(std::vector<MessageRow> rows, std::uint64_t group);
  /// Removes sealed content unless a message uses it.
  void discard(const QueueId& content);

  /// Whether relocations wait for their turn.
  bool relocating() const { return relocations_ > 0; }

  /// Returns when everything submitted before has been answered.
  void wait_idle();
  /// Answers what was submitted and ends the threads. Idempotent.
  void stop();

  Health health() const;
  void on_latched(std::function<void(std::string)> notify);
  void latch(const std::string& why);
  void check_space();
  std::vector<TenantTotals> totals() const;
  std::vector<Suspension> suspensions() const;

  std::uint64_t durable_group() const { return durable_.load(); }

  std::uint64_t durable_sequence() const { return durable_sequence_.load(); }

  std::uint64_t message_count() const;

  std::uint64_t sequence() const { return sequence_.load(); }

  std::vector<std::pair<std::string, double>> statistics() const;

 private:
  struct Item {
    Request request;  // without an operation: one of the three tasks below
    CompletionSink* sink = nullptr;
    std::optional<Relocation> relocation;
    bool copies_suspensions = false;
    std::optional<QueueId> discarded;  // content
    std::size_t octets = 0;            // upper bound of its records
    bool refused = false;              // the queue was full when it came
  };

  using Answers = std::map<CompletionSink*, std::vector<Answer>>;

  struct Work {
    Group group;
    Answers answers;
    std::uint64_t items = 0, relocations = 0;
  };

  void enqueue(std::vector<Item> items);
  void take_offers();
  void run_committer();
  std::vector<Item> take();
  void process(std::vector<Item> items);
  bool apply(Item& item, bool admits, Answer& answer);
  std::optional<Answer> refuse_admit(const Admit& admit, const Item& item, bool admits);
  bool apply_claim(const Claim& claim, Answer& answer);
  bool write(Work& work);
  void begin_segment(std::uint64_t epoch);
  void hand_over(Work work);
  void run_sync();
  bool make_durable(Group& group);
  void publish(Group& group);
  void deliver(Answers answers, bool known);
  void wait_merged();

  Store& store_;
  const std::function<void()> kick_;
  GroupBuilder builder_;          // committer thread
  std::uint64_t next_group_;      // committer thread
  std::uint64_t head_epoch_ = 0;  // committer thread

  std::atomic<std::uint64_t> durable_, durable_sequence_{0}, sequence_{0}, relocations_{0};
  std::atomic<bool> latched_{false}, low_space_{false};

  mutable std::mutex mutex_;  // the members below
  std::condition_variable submitted_, taken_, ready_, idle_;
  std::deque<Item> pending_;
  std::vector<std::pair<MessageRow, std::uint64_t>> offered_;
  std::uint64_t pending_admit_octets_ = 0;
  SteadyTime pending_since_{};
  std::optional<Work> waiting_;  // written, not yet taken by the sync thread
  std::uint64_t submitted_count_ = 0, answered_count_ = 0;
  bool stopping_ = false, closed_ = false, committer_done_ = false;
  std::function<void(std::string)> notify_;
  std::optional<std::string> latch_reason_;
  std::map<std::string, Totals> totals_;
  SuspensionTable suspensions_;
  std::uint64_t groups_ = 0, records_ = 0, syncs_ = 0, full_ = 0;

  std::thread committer_, sync_;
};

}  // namespace mansio::spool
