// The living order over the spool: accept, schedule, deliver, record, retry, expire, report.
// The one place that changes durable state. A Queue is itself a Target, so queues can be chained.
//
// Life of a message: admit() → shard of each lane (shard.h) → scheduler (schedule/scheduler.h) →
// session on a channel (delivery/channel.h) → settle → retry, notice or the end.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "delivery/channel.h"
#include "dsn/bounce_builder.h"
#include "mansio/target.hpp"
#include "settings/settings.h"
#include "spool/spool.h"

namespace mansio {

/// What an edge hands over. Content: octets in memory, or sealed in the spool under content.id.
struct Submission {
  QueueId id;  ///< from new_id() (it stands in the Received line); nil: the queue makes one
  Envelope envelope;
  Content content;
  std::string tenant = "default";
  std::string campaign;
  PriorityClass klass = PriorityClass::normal;
};

struct Admitted {
  spool::Status status = spool::Status::unknown;  ///< committed, full, refused or unknown
  QueueId id;
  std::string detail;
};

/// States as operators see them: the durable ones, and those of the moment.
enum class LivingState : std::uint8_t {
  active,
  deferred,
  held,
  suspended,
  in_flight,
  in_doubt,
  quarantined
};
const char* to_text(LivingState state);
std::optional<LivingState> parse_living_state(std::string_view text);

/// A selector with a state of the moment on top.
struct QueueSelector {
  spool::Selector stored;
  std::optional<LivingState> state;
};

struct ListedMessage {
  spool::StoredMessagePtr message;
  std::vector<LivingState> states;      ///< per recipient; of final ones meaningless
  std::vector<std::uint32_t> matching;  ///< recipients that match the selector
};

struct QueueListPage {
  std::vector<ListedMessage> messages;
  std::string resume;
};

struct BulkResult {
  std::uint64_t matched = 0;    ///< recipients
  std::uint64_t changed = 0;    ///< with a dry run: that would change
  std::uint64_t in_flight = 0;  ///< matched, but left alone: a session works on them
  std::uint64_t messages = 0;  ///< messages with a match
  std::string error;           ///< not empty: the spool refused to go on
};

/// Why a recipient waits. Reasons: due, backoff, limit, rate, suspended, curfew, host_down, dns,
/// held, quarantined, no_program, reserve, policy; and in_flight, in_doubt.
struct Wait {
  std::uint32_t recipient = 0;
  std::string address;
  std::string reason;
  std::string setting;  ///< the setting that caused it, or ""
  Time since{};
  std::optional<Time> next_attempt;
  std::string detail;  ///< the last reply, the host
};

/// A bulk verb at work; written by the queue, read by whoever watches. Thread safe.
struct BulkProgress {
  std::atomic<std::uint64_t> matched{0}, changed{0};
  std::atomic<bool> cancel{false};  ///< set it: the verb ends after the page it is at
};

/// Messages by age and destination. Ages: the upper bounds of the columns; the last is open.
struct Shape {
  struct Row {
    std::string destination;
    std::uint64_t total = 0;
    std::vector<std::uint64_t> by_age;  ///< recipients, one per column
  };
  std::vector<Duration> bounds;
  std::vector<Row> rows;  ///< by total, largest first
  Row all;                ///< of every destination, those beyond `rows` too
};

struct LaneStatus {
  LaneKey lane;
  std::optional<spool::Suspension> suspension;  ///< the one that stops it
  std::uint64_t held = 0;
  Time oldest{};  ///< acceptance of the oldest message, approximate
  std::uint64_t queued = 0, due = 0, in_flight = 0;
  std::uint32_t sessions = 0;
  std::string trouble;  ///< last trouble while the lane is delayed
  std::optional<Time> delayed_until;
};

struct QueueStatistics {
  std::uint64_t sessions = 0;
  std::uint64_t window_messages = 0;
  std::uint64_t window_octets = 0;    ///< of content that is in memory
  std::uint64_t window_memory = 0;    ///< octets that the windows take in all, estimated
  std::uint64_t lanes_in_memory = 0;  ///< with work
  std::uint64_t lanes_sleeping = 0;   ///< whose mail waits on disk for its time or its turn
  std::uint64_t in_flight = 0;  ///< recipients
  std::uint64_t deferrals = 0;  ///< outcomes since the start that put a recipient off
  std::uint64_t faults = 0;  ///< statuses that a target left out, results that could not be settled
  /// Recipients whose sender was told of them, by action, and not told, by reason; since start.
  std::vector<std::pair<std::string, std::uint64_t>> notices, notices_suppressed;
};

class Queue final : public Target {
 public:
  struct Ports {
    spool::Spool& spool;
    Clock& clock;
    std::vector<boost::asio::any_io_executor> loops;  ///< one shard each
    std::function<std::unique_ptr<Random>()> random;  ///< one generator per shard
    std::map<std::string, std::shared_ptr<delivery::Channel>> channels;  ///< by name
    /// Writes the notices; null: the engine's own. When one is sent, and to whom, stays with the
    /// engine.
    std::unique_ptr<dsn::BounceBuilder> bounce_builder = nullptr;
  };

  Queue(Ports ports, std::shared_ptr<const settings::Settings> settings);
  ~Queue() override;

  /// Loads the lanes from the spool and starts delivering. Throws std::runtime_error if the spool
  /// cannot be read.
  void start();
  /// Starts no new attempt, waits for those that run up to `deadline`, then cancels them (their
  /// recipients are put back or in doubt). The spool is not stopped.
  Task<void> stop(SteadyTime deadline);
  /// Takes new settings for everything that follows; from any thread.
  void reload(std::shared_ptr<const settings::Settings> settings,
              std::map<std::string, std::shared_ptr<delivery::Channel>> channels);
  std::shared_ptr<const settings::Settings> settings() const;

  // Accepting; from a coroutine on any loop.
  /// Ids for messages and content; thread safe.
  QueueId new_id();
  std::unique_ptr<spool::ContentWriter> open_content(const QueueId& content_id);
  /// Completes when the message is durable, refused, or its fate is unknown.
  Task<Admitted> admit(Submission submission);
  /// False: full, latched, draining or stopping; `reason` for people.
  bool accepting(std::string* reason = nullptr) const;
  /// Counts content in memory against the budget; false: take it to the spool instead.
  bool reserve_memory(std::uint64_t octets);
  void release_memory(std::uint64_t octets);

  // The operator's side; from a coroutine on any executor.
  Task<Result<QueueListPage>> list(QueueSelector selector, std::string resume, std::size_t limit);
  Task<Result<spool::StoredMessagePtr>> get(QueueId id);
  Task<Result<std::string>> content(QueueId id, std::uint64_t offset, std::uint64_t length);
  Task<Result<std::vector<spool::HistoryEntry>>> history(QueueId id);
  Task<Result<std::vector<Wait>>> why(QueueId id);
  /// retry (make_due), hold, release, fail (bounce), remove: recipients in flight are left alone.
  Task<BulkResult> apply(spool::Verb verb, QueueSelector selector, std::string reason,
                         std::string actor, bool dry_run);
  Task<BulkResult> apply(spool::Verb verb, QueueSelector selector, std::string reason,
                         std::string actor, bool dry_run, std::shared_ptr<BulkProgress> progress);
  /// All lanes with mail that is not final, those without anything in memory too.
  Task<std::vector<LaneStatus>> lanes();
  /// Counts recipients; reads the whole queue. At most `rows_max` destinations by name.
  Task<Result<Shape>> shape(QueueSelector selector, std::vector<Duration> bounds,
                            std::size_t rows_max);

  /// Starts no new attempt for the lanes that fit; transactions under way end as they would. Durable
  /// when it completes.
  Task<spool::Status> suspend(spool::Suspension suspension);
  /// `missing`: there is no such suspension.
  Task<spool::Status> resume(std::string destination, std::string binding, std::string actor);
  std::vector<spool::Suspension> suspensions() const;

  /// While it drains, nothing new is accepted and everything else goes on. Not kept across restarts.
  void drain(bool on, std::string reason, std::string actor);
  bool draining() const;

  /// Adds what was learned later about a message (see spool::Record).
  Task<spool::Status> record(spool::Record record);
  spool::Totals totals() const;
  std::vector<spool::TenantTotals> tenant_totals() const;
  Task<QueueStatistics> statistics();
  spool::Spool& spool();

  // Target: a message delivered to this queue is a message accepted by it.
  Task<Started> start(const Message& message) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mansio
