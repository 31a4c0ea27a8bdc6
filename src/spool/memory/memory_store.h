// What a memory spool holds, and its committer: one operation after another through the ledger,
// with everything that follows from it kept in step (due entries, lanes, history, events, totals).
// Thread safety: none here; MemorySpool holds `mutex` around every call.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "spool/ledger.h"
#include "spool/memory/memory_spool.h"

namespace mansio::spool {

class MemoryStore {
 public:
  struct StoredContent {
    std::shared_ptr<const std::string> octets;
    std::uint64_t references = 0;  ///< messages; 0: sealed, not admitted yet
  };

  struct Past {
    std::vector<HistoryEntry> entries;
    std::optional<Time> finished;
  };

  struct Flow {
    std::map<std::pair<Time, QueueId>, std::vector<std::uint32_t>> entries;
    std::uint64_t recipients = 0;
  };

  struct Lane {
    std::uint64_t queued = 0;
    std::uint64_t held = 0;
    std::set<std::pair<Time, QueueId>> messages;  ///< by acceptance; with recipients not final
  };

  /// Applies one operation as far as it can be, at the spool's time `now`.
  Answer commit(const Operation& operation, const MemorySpoolOptions& options, Time now);

  /// Takes room for content; false: there is none.
  bool reserve(std::uint64_t size, const MemorySpoolOptions& options);

  void give_back(std::uint64_t size) { octets -= size; }

  void seal(const QueueId& content_id, std::string octets);
  /// Forgets sealed content that was never admitted, as a start does.
  void drop_unreferenced_content();
  /// Forgets the history of messages that finished longer ago than it is kept.
  void drop_old_history(const MemorySpoolOptions& options, Time now);
  /// Marks of earlier openings that no outcome followed.
  std::vector<InDoubt> marks_in_doubt() const;
  /// The message, unless its record is damaged.
  std::shared_ptr<StoredMessage> readable(const QueueId& id) const;

  std::mutex mutex;

  // Everything below is protected by mutex.
  std::map<QueueId, std::shared_ptr<StoredMessage>> messages;
  std::set<QueueId> damaged;  ///< messages whose record does not decode
  std::map<QueueId, StoredContent> contents;
  std::map<FlowKey, Flow> flows;
  std::map<LaneKey, Lane> lanes;
  std::map<QueueId, Past> history;
  std::deque<Event> events;
  std::map<std::string, Totals> totals;
  SuspensionTable suspensions;
  std::map<std::uint64_t, InDoubt> marks;
  std::uint64_t next_mark = 1;
  std::uint64_t next_seq = 1;
  std::uint64_t octets = 0;  ///< content held, and being written
  std::uint64_t operations = 0;

 private:
  Answer commit_admit(const Operation& operation, const Admit& admit,
                      const MemorySpoolOptions& options, Time now, bool is_notice);
  Answer commit_with_notices(const Operation& operation, const QueueId& id,
                             const std::vector<Admit>& notices, const MemorySpoolOptions& options,
                             Time now);
  Answer commit_renew(const Operation& operation, const Renew& renew);
  Answer commit_claim(const Claim& claim);
  Answer commit_record(const Record& request, const MemorySpoolOptions& options, Time now);
  /// Why the content of this admit cannot be taken; empty: it can.
  std::string content_objection(const Admit& admit) const;
  void take_content(const Content& content);
  void release_content(const QueueId& content_id);
  /// Brings everything in step with a state that changed from `before` to `after`.
  void follow(const StoredMessage* before, const std::shared_ptr<StoredMessage>& after,
              Applied& applied, const MemorySpoolOptions& options, Time now);
  void follow_due(const QueueId& id, const std::vector<DueChange>& changes);
  void follow_lanes(const StoredMessage* before, const StoredMessage& after);
  void follow_events(std::vector<Event>& fresh, std::size_t events_max);

  std::deque<std::pair<Time, QueueId>> finished_;  ///< in the order of finishing
};

}  // namespace mansio::spool
