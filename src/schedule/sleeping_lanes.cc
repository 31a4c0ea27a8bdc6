#include "schedule/sleeping_lanes.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "base/assert.h"

namespace mansio::schedule {
namespace {

constexpr std::uint8_t class_marks = 0x03;
constexpr std::uint8_t parked_mark = 0x04;
constexpr std::uint8_t extended_mark = 0x08;

/// Octets given out below which nothing is moved together.
constexpr std::size_t worth_moving = 4u << 20;

std::uint64_t hash_of_key(std::string_view destination, std::uint16_t binding) {
  std::uint64_t hash = std::hash<std::string_view>()(destination) + binding;
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
  return hash ^ hash >> 33;
}

std::size_t rounded_up(std::size_t octets, std::size_t granule) {
  return (octets + granule - 1) / granule * granule;
}

/// Empty, and without capacity.
template <class T>
void give_back(std::vector<T>& items) {
  std::vector<T>().swap(items);
}

}  // namespace

// ---- the records ------------------------------------------------------------------------------

SleepingLanes::Slot SleepingLanes::allocate(std::size_t octets) {
  const std::size_t granules = rounded_up(octets, granule) / granule;
  live_ += granules * granule;
  if (granules < free_.size() && free_[granules] != none) {
    const Slot slot = free_[granules];
    std::memcpy(&free_[granules], &record(slot), sizeof(Slot));
    return slot;
  }
  if (next_ % chunk_octets + granules * granule > chunk_octets) {
    next_ = rounded_up(next_, chunk_octets);  // a record does not cross a border
  }
  while (next_ + granules * granule > chunks_.size() * chunk_octets) {
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_octets));
  }
  const std::size_t slot = next_ / granule;
  MANSIO_ASSERT(slot <= std::numeric_limits<Slot>::max());
  next_ += granules * granule;
  return static_cast<Slot>(slot);
}

void SleepingLanes::release(Slot slot, std::size_t octets) {
  const std::size_t granules = rounded_up(octets, granule) / granule;
  live_ -= granules * granule;
  if (granules >= free_.size()) free_.resize(granules + 1, none);
  std::memcpy(&record(slot), &free_[granules], sizeof(Slot));
  free_[granules] = slot;
}

void SleepingLanes::release_all() {
  give_back(chunks_);
  give_back(free_);
  give_back(extras_);
  give_back(free_extras_);
  give_back(bindings_);
  binding_numbers_.clear();
  index_.clear();
  next_ = granule;
}

/// After most lanes have gone: the rest moves together, and the memory goes back.
void SleepingLanes::move_together() {
  std::vector<std::unique_ptr<char[]>> old_chunks;
  old_chunks.swap(chunks_);
  next_ = granule;
  live_ = 0;
  give_back(free_);
  index_.clear();
  for (std::size_t position = 0; position < heap_.size(); ++position) {
    const std::size_t octet = std::size_t{heap_.items()[position]} * granule;
    const char* old = old_chunks[octet / chunk_octets].get() + octet % chunk_octets;
    Record header;
    std::memcpy(&header, old, sizeof header);
    const std::size_t octets = sizeof header + header.length;
    const Slot slot = allocate(octets);
    std::memcpy(&record(slot), old, octets);
    heap_.replace(static_cast<std::uint32_t>(position), slot);
    index_.insert(hash_of(slot), slot, [this](Slot other) { return hash_of(other); });
  }
}

std::string_view SleepingLanes::destination_of(Slot slot) const {
  const Record& its = record(slot);
  return {reinterpret_cast<const char*>(&its) + sizeof its, its.length};
}

std::uint64_t SleepingLanes::hash_of(Slot slot) const {
  return hash_of_key(destination_of(slot), record(slot).binding);
}

std::uint16_t SleepingLanes::binding_number(const std::string& binding) {
  const auto known = binding_numbers_.find(binding);
  if (known != binding_numbers_.end()) return known->second;
  MANSIO_ASSERT(bindings_.size() <= std::numeric_limits<std::uint16_t>::max());
  const auto number = static_cast<std::uint16_t>(bindings_.size());
  bindings_.push_back(binding);
  binding_numbers_.emplace(binding, number);
  return number;
}

SleepingLanes::Extra& SleepingLanes::extend(Slot slot) {
  Record& its = record(slot);
  if ((its.marks & extended_mark) != 0) return *extras_[its.flow];
  auto extra = std::make_unique<Extra>();
  const bool parked = (its.marks & parked_mark) != 0;
  extra->dues.lower({static_cast<PriorityClass>(its.marks & class_marks), its.flow},
                    parked ? Time{} : Time(Duration(its.wake)));
  std::uint32_t number = static_cast<std::uint32_t>(extras_.size());
  if (free_extras_.empty()) {
    extras_.push_back(std::move(extra));
  } else {
    number = free_extras_.back();
    free_extras_.pop_back();
    extras_[number] = std::move(extra);
  }
  its.flow = number;
  its.marks |= extended_mark;
  return *extras_[number];
}

// ---- lanes come and go ------------------------------------------------------------------------

SleepingLanes::Slot SleepingLanes::find(const LaneKey& lane) const {
  const auto binding = binding_numbers_.find(lane.binding);
  if (binding == binding_numbers_.end()) return none;
  const std::uint16_t number = binding->second;
  return index_.find(hash_of_key(lane.destination, number), [&](Slot slot) {
    return record(slot).binding == number && destination_of(slot) == lane.destination;
  });
}

void SleepingLanes::insert(Sleeper sleeper) {
  const Time wake = sleeper.dues.earliest();
  insert_at(std::move(sleeper), wake, false);
}

void SleepingLanes::insert_parked(Sleeper sleeper, Time until) {
  insert_at(std::move(sleeper), until, true);
}

void SleepingLanes::insert_at(Sleeper sleeper, Time wake, bool parked) {
  const std::string& destination = sleeper.lane.destination;
  MANSIO_ASSERT(destination.size() <= std::numeric_limits<std::uint16_t>::max());
  const Slot slot = allocate(sizeof(Record) + destination.size());
  Record& its = record(slot);
  its = {};
  its.wake = wake.time_since_epoch().count();
  its.binding = binding_number(sleeper.lane.binding);
  its.length = static_cast<std::uint16_t>(destination.size());
  if (parked) its.marks = parked_mark;
  std::memcpy(reinterpret_cast<char*>(&its) + sizeof its, destination.data(), destination.size());
  if (sleeper.dues.size() == 1 && !sleeper.rest) {
    const FlowId& flow = sleeper.dues.items().front().flow;
    its.flow = flow.flow;
    its.marks |= static_cast<std::uint8_t>(flow.klass);
  } else {
    Extra& extra = extend(slot);
    extra.dues = std::move(sleeper.dues);
    extra.rest = std::move(sleeper.rest);
  }
  index_.insert(hash_of(slot), slot, [this](Slot other) { return hash_of(other); });
  heap_.push(slot);
}

SleepingLanes::Sleeper SleepingLanes::remove(Slot slot) {
  const Record its = record(slot);
  Sleeper sleeper;
  sleeper.lane = lane(slot);
  if ((its.marks & extended_mark) != 0) {
    Extra& extra = *extras_[its.flow];
    sleeper.dues = std::move(extra.dues);
    sleeper.rest = std::move(extra.rest);
    extras_[its.flow].reset();
    free_extras_.push_back(its.flow);
  } else {
    const bool parked = (its.marks & parked_mark) != 0;
    sleeper.dues.lower({static_cast<PriorityClass>(its.marks & class_marks), its.flow},
                       parked ? Time{} : Time(Duration(its.wake)));
  }
  index_.remove(hash_of(slot), slot);
  heap_.remove(its.position);
  release(slot, sizeof its + its.length);
  if (heap_.empty()) {
    release_all();
  } else if (next_ > worth_moving && live_ < next_ / 4) {
    move_together();
  }
  return sleeper;
}

void SleepingLanes::note(const LaneKey& lane, const FlowId& flow, Time due) {
  const Slot slot = find(lane);
  if (slot == none) {
    Sleeper sleeper{lane, {}, nullptr};
    sleeper.dues.lower(flow, due);
    insert(std::move(sleeper));
    return;
  }
  const Record& its = record(slot);
  const bool parked = (its.marks & parked_mark) != 0;
  const bool same_flow = (its.marks & extended_mark) == 0 && its.flow == flow.flow &&
                         (its.marks & class_marks) == static_cast<std::uint8_t>(flow.klass);
  if (!same_flow) extend(slot).dues.lower(flow, due);
  if (!parked && due < Time(Duration(its.wake))) set_wake(slot, due, false);
}

// ---- one lane ---------------------------------------------------------------------------------

Time SleepingLanes::first_time() const {
  return empty() ? Time::max() : Time(Duration(record(first()).wake));
}

LaneKey SleepingLanes::lane(Slot slot) const {
  return {std::string(destination_of(slot)), bindings_[record(slot).binding]};
}

const Rest* SleepingLanes::rest(Slot slot) const {
  const Record& its = record(slot);
  return (its.marks & extended_mark) != 0 ? extras_[its.flow]->rest.get() : nullptr;
}

bool SleepingLanes::has_flows(Slot slot) const {
  const Record& its = record(slot);
  return (its.marks & extended_mark) == 0 || !extras_[its.flow]->dues.empty();
}

// ---- times ------------------------------------------------------------------------------------

void SleepingLanes::set_wake(Slot slot, Time wake, bool parked) {
  Record& its = record(slot);
  its.wake = wake.time_since_epoch().count();
  its.marks =
      static_cast<std::uint8_t>(parked ? its.marks | parked_mark : its.marks & ~parked_mark);
  heap_.update(its.position);
}

void SleepingLanes::park(Slot slot, Time until) { set_wake(slot, until, true); }

void SleepingLanes::unpark_record(Slot slot, Time now) {
  Record& its = record(slot);
  if ((its.marks & parked_mark) == 0) return;
  Time wake = now;
  if ((its.marks & extended_mark) != 0) {
    const Extra& extra = *extras_[its.flow];
    if (extra.rest && extra.rest->until > now) {
      its.wake = extra.rest->until.time_since_epoch().count();
      return;
    }
    // Without a flow it is only looked at once more.
    if (!extra.dues.empty()) wake = std::max(extra.dues.earliest(), Time{});
  }
  its.wake = wake.time_since_epoch().count();
  its.marks = static_cast<std::uint8_t>(its.marks & ~parked_mark);
}

void SleepingLanes::unpark_all(Time now) {
  for (const Slot slot : heap_.items()) unpark_record(slot, now);
  heap_.update_all();
}

void SleepingLanes::end_rest(Slot slot, Time now) {
  Record& its = record(slot);
  if ((its.marks & extended_mark) == 0) return;
  Rest* rest = extras_[its.flow]->rest.get();
  if (rest == nullptr || rest->until <= now) return;
  rest->until = now;
  unpark_record(slot, now);
  heap_.update(its.position);
}

}  // namespace mansio::schedule
