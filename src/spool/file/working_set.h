// What the committer knows of the spool without asking the index: states of messages in work, lane
// and flow counters, totals, live records per segment. The index lags behind by the groups that
// wait for their sync; whatever such a group changed stays here until RocksDB has it.
// Thread safety: belongs to the committer (or to recovery, before it runs).
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "spool/file/index.h"
#include "spool/ledger.h"

namespace mansio::spool {

class WorkingSet {
 public:
  /// A message in work. `state` null: there is no such message (any more).
  struct Held {
    std::shared_ptr<StoredMessage> state;
    Location location;  ///< epoch 0: in the group under construction
    std::vector<Time> first_due;
    std::vector<bool> has_row;
    // What the group under construction did to it.
    bool dirty = false, created = false, row_changed = false;
    bool ended = false;  // existed before the group, and ended in it
    std::vector<std::uint32_t> touched;
    // Bookkeeping of the set.
    std::uint64_t group = 0;
    std::size_t octets = 0;
    std::list<QueueId>::iterator place;
  };

  template <class Row>
  struct Counter {
    Row row{};
    std::string key;  // in the index
    std::uint64_t group = 0;
    bool dirty = false;  // changed by the group under construction
  };

  /// Loads totals, live records and segment counters. `memory`: octets of message states to keep.
  WorkingSet(const Index& index, std::uint64_t memory);
  Result<void> load();

  /// Takes a row that a reader found in a view of the index which holds everything up to `group`,
  /// so that whoever works on the message next need not read it again. Left out where the message
  /// is known already, or may have changed since.
  void offer(MessageRow row, std::uint64_t group);

  /// The pointers that these give hold until trim(). A message that is newer than every other one
  /// that has a row and is not here is not looked up: new mail costs no look at the index. An id
  /// that is newer than all that were ever forgotten is not looked up: it is here, or nowhere.
  Result<Held*> message(const QueueId& id);
  Result<Counter<LaneRow>*> lane(const LaneKey& lane);
  Result<Counter<FlowRow>*> flow(const FlowKey& flow);
  /// Number of messages that use a content file.
  Result<Counter<std::uint64_t>*> content(const QueueId& content);

  Totals& totals(const std::string& tenant) { return totals_[tenant]; }

  LiveRow& live(std::uint64_t epoch) { return live_[epoch]; }

  const std::map<std::string, Totals>& all_totals() const { return totals_; }

  std::map<std::uint64_t, LiveRow>& all_live() { return live_; }

  std::uint64_t message_count() const;

  /// Tells the size of a message after it changed in `group`.
  void changed(Held& held, std::uint64_t group);
  /// Drops what RocksDB has and memory has no room for.
  void trim();

  std::uint64_t next_sequence = 1;
  SuspensionTable suspensions;
  /// There is or was one since the start: older segments may hold records of them.
  bool suspensions_known = false;

 private:
  static std::size_t size_of(const Held& held);
  Held& insert(const QueueId& id, Held held);
  void forget(std::unordered_map<QueueId, Held>::iterator message);
  template <class Counters>
  void trim_counters(Counters& counters);

  static const QueueId greatest_id;

  const Index& index_;
  const std::uint64_t memory_;
  std::unordered_map<QueueId, Held> messages_;
  std::list<QueueId> order_;      // least recently used first
  std::deque<QueueId> finished_;  // dropped as soon as RocksDB knows, so that the map stays small
  std::uint64_t octets_ = 0;
  // By hash of the id: the newest group that changed a message which is not held any more. Ids that
  // share a place make offer() refuse what it could have taken, never the reverse.
  std::vector<std::uint64_t> forgotten_;
  // No message after this one has a row without being here. Until load() it is not known.
  QueueId newest_elsewhere_ = greatest_id;

  struct KeyHash {
    std::size_t operator()(const LaneKey& lane) const;
    std::size_t operator()(const FlowKey& flow) const;
  };

  std::unordered_map<LaneKey, Counter<LaneRow>, KeyHash> lanes_;
  std::unordered_map<FlowKey, Counter<FlowRow>, KeyHash> flows_;
  std::unordered_map<QueueId, Counter<std::uint64_t>> contents_;
  std::map<std::string, Totals> totals_;
  std::map<std::uint64_t, LiveRow> live_;
};

}  // namespace mansio::spool
