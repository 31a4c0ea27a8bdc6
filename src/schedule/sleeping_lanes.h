// The lanes that only wait for a time: their mail is on disk, and of them only this is in memory.
// A million of them are ordinary, so a lane of one flow takes its destination and about forty
// octets: one packed record, a place in the index, a place in the heap. One that rests takes some
// fifty more. Pure. Not thread safe.
//
// Rules
//   1. A lane sleeps or is awake (scheduler.h), never both.
//   2. A lane wakes when the first of its flows is due, unless it is *parked*: closed until its
//      time to wake, whatever is due.
//   3. Of a parked lane with one flow it is not remembered when that is due: long ago, to be safe.
//      The scheduler takes a due time as a hint, so a wrong one costs a look at the disk.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "schedule/flow_dues.h"
#include "schedule/slot_index.h"
#include "schedule/time_heap.h"
#include "schedule/work.h"

namespace mansio::schedule {

class SleepingLanes {
 public:
  /// Names a sleeping lane until one is removed; notes and parking do not change it.
  using Slot = std::uint32_t;
  static constexpr Slot none = 0;

  struct Sleeper {
    LaneKey lane;
    FlowDues dues;
    std::unique_ptr<Rest> rest;
  };

  SleepingLanes() = default;
  SleepingLanes(const SleepingLanes&) = delete;
  SleepingLanes& operator=(const SleepingLanes&) = delete;

  bool empty() const { return heap_.empty(); }

  std::size_t size() const { return heap_.size(); }

  Slot find(const LaneKey& lane) const;

  /// The lane must not be here.
  void insert(Sleeper sleeper);
  void insert_parked(Sleeper sleeper, Time until);
  Sleeper remove(Slot slot);

  /// The flow has something due at that time, or before; of a lane that may not be here yet.
  void note(const LaneKey& lane, const FlowId& flow, Time due);

  /// The one that wakes first; there must be one.
  Slot first() const { return heap_.top(); }

  /// Time::max(): nobody ever.
  Time first_time() const;

  LaneKey lane(Slot slot) const;
  /// Null: its destination is not in trouble.
  const Rest* rest(Slot slot) const;
  /// False: it is here for its rest only.
  bool has_flows(Slot slot) const;

  void park(Slot slot, Time until);
  /// Nothing of it is closed any more, except by a rest.
  void unpark_all(Time now);
  void end_rest(Slot slot, Time now);

 private:
#pragma pack(push, 1)

  /// Followed by the octets of the destination and, of a lane that rests, the number of its rest.
  struct Record {
    Time::rep wake;
    std::uint32_t position;  ///< in the heap
    std::uint32_t flow;      ///< or the number of its flows, if it has `several`
    std::uint16_t binding;   ///< its number
    std::uint16_t length;    ///< of the destination
    std::uint8_t marks;      ///< class of the flow, `parked`, `several`, `resting`
  };

#pragma pack(pop)

  using RestNumber = std::uint32_t;

  struct Access {
    SleepingLanes* lanes;

    Time time_of(Slot slot) const { return Time(Duration(lanes->record(slot).wake)); }

    void set_position(Slot slot, std::uint32_t position) const {
      lanes->record(slot).position = position;
    }
  };

  Record& record(Slot slot) {
    const std::size_t octet = std::size_t{slot} * granule;
    return *reinterpret_cast<Record*>(chunks_[octet / chunk_octets].get() + octet % chunk_octets);
  }

  const Record& record(Slot slot) const { return const_cast<SleepingLanes*>(this)->record(slot); }

  std::string_view destination_of(Slot slot) const;
  std::uint64_t hash_of(Slot slot) const;
  std::uint16_t binding_number(const std::string& binding);
  static std::size_t octets_of(const Record& its);
  static FlowId flow_of(const Record& its);
  static Time due_of(const Record& its);
  RestNumber rest_number(Slot slot) const;
  FlowDues& several(Slot slot);
  void insert_at(Sleeper sleeper, Time wake, bool parked);
  void set_wake(Slot slot, Time wake, bool parked);
  void unpark_record(Slot slot, Time now);

  Slot allocate(std::size_t octets);
  void release(Slot slot, std::size_t octets);
  void release_all();
  void move_together();

  static constexpr std::size_t granule = 4;
  static constexpr std::size_t chunk_octets = 1 << 18;

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t next_ = granule;  ///< octets given out so far, over all chunks
  std::size_t live_ = 0;        ///< of them in use
  std::vector<Slot> free_;      ///< by size in granules: the last one that was released
  /// Of lanes with several flows, or none.
  std::vector<std::unique_ptr<FlowDues>> flows_;
  std::vector<std::uint32_t> free_flows_;
  std::deque<Rest> rests_;
  std::vector<RestNumber> free_rests_;
  std::vector<std::string> bindings_;
  std::map<std::string, std::uint16_t, std::less<>> binding_numbers_;
  SlotIndex index_;
  TimeHeap<Slot, Access> heap_{Access{this}};
};

}  // namespace mansio::schedule
