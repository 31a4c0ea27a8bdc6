#include "schedule/seen_places.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace mansio::schedule {
namespace {

/// Longer than a committed entry can be on its way from the spool to add().
constexpr Duration period = std::chrono::minutes(1);

std::uint64_t mixed(std::uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccdull;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53ull;
  return value ^ value >> 33;
}

}  // namespace

SeenPlaces::Place SeenPlaces::make_place(const FlowKey& flow, const DueCursor& place) {
  const std::hash<std::string_view> text;
  std::uint64_t hash = mixed(text(flow.lane.destination)) + text(flow.lane.binding);
  hash =
      mixed(mixed(hash) + flow.flow + (std::uint64_t{1} << 32) * static_cast<unsigned>(flow.klass));
  Place made;
  made.flow = std::max<std::uint64_t>(hash, 1);
  made.due = place.due;
  for (std::size_t i = 0; i < 8; ++i) made.id = made.id << 8 | place.id.octets[i];
  return made;
}

void SeenPlaces::note(const FlowKey& flow, const DueCursor& place, Time now) {
  turn(now);
  recent_.note(make_place(flow, place));
}

bool SeenPlaces::contains(const FlowKey& flow, const DueCursor& place, Time now) {
  turn(now);
  if (recent_.empty() && older_.empty()) return false;
  const Place looked_for = make_place(flow, place);
  return recent_.contains(looked_for) || older_.contains(looked_for);
}

void SeenPlaces::turn(Time now) {
  turned_at_ = std::min(turned_at_, now);  // a clock may be set back
  if (now < turned_at_ + period) return;
  older_ = now < turned_at_ + 2 * period ? std::move(recent_) : Table();
  recent_ = Table();
  turned_at_ = now;
}

std::size_t SeenPlaces::Table::home_of(std::uint64_t flow) const {
  return (flow >> 32) * places_.size() >> 32;
}

void SeenPlaces::Table::note(const Place& place) {
  if ((size_ + 1) * 4 > places_.size() * 3) grow();
  std::size_t at = home_of(place.flow);
  while (places_[at].flow != 0 && places_[at].flow != place.flow) {
    at = at + 1 == places_.size() ? 0 : at + 1;
  }
  if (places_[at].flow == 0) ++size_;
  places_[at] = std::max(places_[at], place);
}

bool SeenPlaces::Table::contains(const Place& place) const {
  if (places_.empty()) return false;
  for (std::size_t at = home_of(place.flow); places_[at].flow != 0;
       at = at + 1 == places_.size() ? 0 : at + 1) {
    if (places_[at].flow == place.flow) return place <= places_[at];
  }
  return false;
}

void SeenPlaces::Table::grow() {
  Table larger;
  larger.places_.resize(16 + places_.size() * 3 / 2);
  for (const Place& place : places_) {
    if (place.flow != 0) larger.note(place);
  }
  *this = std::move(larger);
}

}  // namespace mansio::schedule
