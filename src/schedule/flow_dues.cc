#include "schedule/flow_dues.h"

#include <algorithm>

namespace mansio::schedule {

std::vector<FlowDues::Item>::const_iterator FlowDues::place_of(const FlowId& flow) const {
  return std::ranges::lower_bound(items_, flow, {}, &Item::flow);
}

std::optional<Time> FlowDues::find(const FlowId& flow) const {
  const auto found = place_of(flow);
  if (found == items_.end() || found->flow != flow) return std::nullopt;
  return found->due;
}

Time FlowDues::first_after(Time now) const {
  if (earliest_ > now) return earliest_;
  Time first = Time::max();
  for (const Item& item : items_) {
    if (item.due > now) first = std::min(first, item.due);
  }
  return first;
}

void FlowDues::lower(const FlowId& flow, Time due) {
  const auto found = place_of(flow);
  if (found == items_.end() || found->flow != flow) {
    items_.insert(found, Item{flow, due});
  } else {
    Time& known = items_[static_cast<std::size_t>(found - items_.begin())].due;
    known = std::min(known, due);
  }
  earliest_ = std::min(earliest_, due);
}

void FlowDues::remove(const FlowId& flow) {
  const auto found = place_of(flow);
  if (found == items_.end() || found->flow != flow) return;
  const bool was_earliest = found->due == earliest_;
  items_.erase(found);
  if (was_earliest) look_for_earliest();
}

void FlowDues::look_for_earliest() {
  earliest_ = Time::max();
  for (const Item& item : items_) earliest_ = std::min(earliest_, item.due);
}

}  // namespace mansio::schedule
