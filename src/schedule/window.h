// The entries of one flow that are in memory, in the order of their places. Nearly all come at the
// end and go at the front, so they lie in one block. Pure. Not thread safe.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "schedule/work.h"

namespace mansio::schedule {

class Window {
 public:
  bool empty() const { return head_ == entries_.size(); }

  std::size_t size() const { return entries_.size() - head_; }

  const Entry& front() const { return entries_[head_]; }

  const Entry& back() const { return entries_.back(); }

  const Entry* begin() const { return entries_.data() + head_; }

  const Entry* end() const { return entries_.data() + entries_.size(); }

  /// The entry now at that place, and whether it is the given one; if not, `entry` was not taken.
  std::pair<Entry*, bool> insert(Entry&& entry);
  Entry pop_front();
  Entry pop_back();
  std::optional<Entry> remove(const DueCursor& place);
  void clear();

 private:
  std::size_t position_of(const DueCursor& place) const;

  std::vector<Entry> entries_;
  std::size_t head_ = 0;  ///< what is before it was taken
};

}  // namespace mansio::schedule
