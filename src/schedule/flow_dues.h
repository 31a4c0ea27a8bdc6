// When the flows of one lane have something due on disk. Small: most lanes have one flow.
// Pure. Not thread safe.
#pragma once

#include <optional>
#include <vector>

#include "schedule/work.h"

namespace mansio::schedule {

class FlowDues {
 public:
  struct Item {
    FlowId flow;
    Time due{};
  };

  bool empty() const { return items_.empty(); }

  std::size_t size() const { return items_.size(); }

  /// In the order of service.
  const std::vector<Item>& items() const { return items_; }

  std::optional<Time> find(const FlowId& flow) const;

  /// Of all flows; Time::max(): there is none.
  Time earliest() const { return earliest_; }

  /// The earliest that is not due yet; Time::max(): there is none.
  Time first_after(Time now) const;

  /// The flow has something due at that time, or before.
  void lower(const FlowId& flow, Time due);
  void remove(const FlowId& flow);

 private:
  std::vector<Item>::const_iterator place_of(const FlowId& flow) const;
  void look_for_earliest();

  std::vector<Item> items_;
  Time earliest_ = Time::max();
};

}  // namespace mansio::schedule
