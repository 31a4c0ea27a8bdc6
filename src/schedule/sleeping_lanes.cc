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
constexpr std::uint8_t several_mark = 0x08;
constexpr std::uint8_t resting_mark = 0x10;

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
template <class Items>
void give_back(Items& items) {
  Items().swap(items);
}

/// Puts `item` into a place that is free; its number.
template <class Items, class Item>
std::uint32_t keep(Items& items, std::vector<std::uint32_t>& free, Item item) {
  if (free.empty()) {
    items.push_back(std::move(item));
    return static_cast<std::uint32_t>(items.size() - 1);
  }
  const std::uint32_t number = free.back();
  free.pop_back();
  items[number] = std::move(item);
  return number;
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
  give_back(flows_);
  give_back(free_flows_);
  give_back(rests_);
  give_back(free_rests_);
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
    const std::size_t octets = octets_of(header);
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

std::size_t SleepingLanes::octets_of(const Record& its) {
  return sizeof its + its.length + ((its.marks & resting_mark) != 0 ? sizeof(RestNumber) : 0);
}

/// Of a lane with one flow.
FlowId SleepingLanes::flow_of(const Record& its) {
  return {static_cast<PriorityClass>(its.marks & class_marks), its.flow};
}

Time SleepingLanes::due_of(const Record& its) {
  return (its.marks & parked_mark) != 0 ? Time{} : Time(Duration(its.wake));
}

SleepingLanes::RestNumber SleepingLanes::rest_number(Slot slot) const {
  RestNumber number = 0;
  const std::string_view destination = destination_of(slot);
  std::memcpy(&number, destination.data() + destination.size(), sizeof number);
  return number;
}

/// The due times of a lane that may have had one flow until now.
FlowDues& SleepingLanes::several(Slot slot) {
  Record& its = record(slot);
  if ((its.marks & several_mark) == 0) {
    auto dues = std::make_unique<FlowDues>();
    dues->lower(flow_of(its), due_of(its));
    its.flow = keep(flows_, free_flows_, std::move(dues));
    its.marks |= several_mark;
  }
  return *flows_[its.flow];
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
  Record made{};
  made.wake = wake.time_since_epoch().count();
  made.binding = binding_number(sleeper.lane.binding);
  made.length = static_cast<std::uint16_t>(destination.size());
  if (parked) made.marks |= parked_mark;
  if (sleeper.rest) made.marks |= resting_mark;
  if (sleeper.dues.size() == 1) {
    const FlowId& flow = sleeper.dues.items().front().flow;
    made.flow = flow.flow;
    made.marks |= static_cast<std::uint8_t>(flow.klass);
  } else {
    made.flow = keep(flows_, free_flows_, std::make_unique<FlowDues>(std::move(sleeper.dues)));
    made.marks |= several_mark;
  }
  const Slot slot = allocate(octets_of(made));
  char* octets = reinterpret_cast<char*>(&record(slot));
  std::memcpy(octets, &made, sizeof made);
  std::memcpy(octets + sizeof made, destination.data(), destination.size());
  if (sleeper.rest) {
    const RestNumber number = keep(rests_, free_rests_, std::move(*sleeper.rest));
    std::memcpy(octets + sizeof made + destination.size(), &number, sizeof number);
  }
  index_.insert(hash_of(slot), slot, [this](Slot other) { return hash_of(other); });
  heap_.push(slot);
}

SleepingLanes::Sleeper SleepingLanes::remove(Slot slot) {
  const Record its = record(slot);
  Sleeper sleeper;
  sleeper.lane = lane(slot);
  if ((its.marks & several_mark) != 0) {
    sleeper.dues = std::move(*flows_[its.flow]);
    flows_[its.flow].reset();
    free_flows_.push_back(its.flow);
  } else {
    sleeper.dues.lower(flow_of(its), due_of(its));
  }
  if ((its.marks & resting_mark) != 0) {
    const RestNumber number = rest_number(slot);
    sleeper.rest = std::make_unique<Rest>(std::exchange(rests_[number], {}));
    free_rests_.push_back(number);
  }
  index_.remove(hash_of(slot), slot);
  heap_.remove(its.position);
  release(slot, octets_of(its));
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
  const bool same_flow = (its.marks & several_mark) == 0 && flow_of(its) == flow;
  if (!same_flow) several(slot).lower(flow, due);
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
  return (record(slot).marks & resting_mark) != 0 ? &rests_[rest_number(slot)] : nullptr;
}

bool SleepingLanes::has_flows(Slot slot) const {
  const Record& its = record(slot);
  return (its.marks & several_mark) == 0 || !flows_[its.flow]->empty();
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
  const Rest* its_rest = rest(slot);
  if (its_rest != nullptr && its_rest->until > now) {
    its.wake = its_rest->until.time_since_epoch().count();
    return;
  }
  // Without a flow it is only looked at once more.
  const bool one_flow = (its.marks & several_mark) == 0;
  const Time wake = one_flow || !has_flows(slot) ? now : flows_[its.flow]->earliest();
  its.wake = wake.time_since_epoch().count();
  its.marks = static_cast<std::uint8_t>(its.marks & ~parked_mark);
}

void SleepingLanes::unpark_all(Time now) {
  for (const Slot slot : heap_.items()) unpark_record(slot, now);
  heap_.update_all();
}

void SleepingLanes::end_rest(Slot slot, Time now) {
  Record& its = record(slot);
  if ((its.marks & resting_mark) == 0) return;
  Rest& its_rest = rests_[rest_number(slot)];
  if (its_rest.until <= now) return;
  its_rest.until = now;
  unpark_record(slot, now);
  heap_.update(its.position);
}

}  // namespace mansio::schedule
