// Builds one atomic group: applies operations through the ledger, encodes a record for each, and
// collects what changes in the index. Recovery uses the same class to apply records again, so that
// a replay cannot differ from the first time.
// Thread safety: belongs to the committer (or to recovery, before it runs).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "spool/file/event_log.h"
#include "spool/file/journal.h"
#include "spool/file/record.h"
#include "spool/file/working_set.h"
#include "spool/ledger.h"

namespace mansio::spool {

/// Everything that follows from a group once it is durable.
struct Group {
  std::uint64_t number = 0;
  std::string octets;  ///< as appended to the journal
  GroupPlace place;
  IndexChanges changes;
  EventBatch events;
  std::map<std::uint64_t, LiveChange> live;
  std::vector<std::pair<std::string, Totals>> totals;  ///< absolute, of the tenants that changed
  std::vector<QueueId> contents_done;                  ///< files that no message uses any more
  std::optional<SuspensionTable> suspensions;          ///< as they are now, if they changed
  std::uint32_t records = 0;

  bool empty() const { return records == 0; }
};

/// Whether a record or request found something to do. (Not a bool: an error code converts to one.)
enum class Effect : std::uint8_t { none, applied };

class GroupBuilder {
 public:
  explicit GroupBuilder(WorkingSet& set) : set_(set) {}

  void begin(std::uint64_t number);

  /// Applies an operation that is not a Claim, with its notices. An error is the index's: it
  /// failed, or (corrupt) the stored message does not decode.
  Result<Answer> apply(const Operation& operation);
  /// Leases one message; none: it has nothing to give.
  Result<Effect> claim(const Claim& claim, const QueueId& id, Answer& answer);
  /// Copies a live message out of segment `from`; none: it has gone or moved meanwhile.
  Result<Effect> relocate(const QueueId& id, std::uint64_t from, std::string_view content);

  /// Writes all suspensions, so that the segments before this group are not needed for them.
  void copy_suspensions();

  /// Applies a record of the journal again. None: the record does not fit the state.
  Result<Effect> replay(const DecodedRecord& record, const RecordHeader& header,
                        std::uint64_t offset);
  /// As replay, for a journal with holes: what no longer fits is left out.
  Result<Effect> salvage(const DecodedRecord& record, const RecordHeader& header,
                         std::uint64_t offset);

  /// Takes back the octets of a group that was written: the next one needs as much room.
  void reuse(std::string octets) { spare_ = std::move(octets); }

  std::size_t octets() const { return group_.octets.size(); }

  bool empty() const { return group_.empty(); }

  /// Seals the records for their place and hands out the group. `position.offset` is set for the
  /// place; an empty group changes nothing.
  Result<Group> finish(GroupPlace place, std::uint64_t durable);
  /// The same for replayed records, whose place is given with each.
  Result<Group> finish_replay(const Position& behind);

 private:
  using Held = WorkingSet::Held;

  Result<Answer> apply_one(const Operation& operation);
  Answer apply_suspend(const Suspend& suspend);
  Result<Answer> apply_record(const Record& record);
  void note_suspension(const Suspension& suspension);
  void replay_suspend(const SuspendBody& body);
  Result<void> apply_notices(const std::vector<Admit>& notices);
  Result<Effect> replay_operation(const DecodedRecord& record, const Location& location,
                                  std::uint64_t sequence, bool strict);
  Result<Effect> replay_relocation(const DecodedRecord& record, const Location& location,
                                   bool strict);
  Result<void> absorb(Held& held, const std::shared_ptr<StoredMessage>& before, Applied& applied,
                      const Location& location);
  Result<void> count_recipients(const StoredMessage* before, const StoredMessage& after,
                                const std::vector<std::uint32_t>& touched);
  Result<void> count_content(const Held& held, int change);
  void count_live(const Location& location, int change);
  Result<void> emit_due_rows(const std::vector<DueChange>& changes, const QueueId& id);
  void number_events(std::vector<Event>& events);
  void mark_dirty(const QueueId& id, Held& held);
  Result<void> emit_rows();
  void end_rows(const QueueId& id, Held& held);
  void emit_message(const QueueId& id, Held& held);
  Result<void> place_records(const GroupPlace& place);

  WorkingSet& set_;
  Group group_;
  std::string spare_;
  std::vector<std::size_t> starts_;  // of the records in group_.octets
  std::vector<QueueId> dirty_;
  std::vector<QueueId> placed_;  // messages whose record is in this group
  std::vector<RowChange> due_rows_, other_rows_;
  std::set<std::string> tenants_;
  // Counters that changed.
  std::vector<WorkingSet::Counter<LaneRow>*> lanes_;
  std::vector<WorkingSet::Counter<FlowRow>*> flows_;
  std::map<QueueId, WorkingSet::Counter<std::uint64_t>*> contents_;
};

}  // namespace mansio::spool
