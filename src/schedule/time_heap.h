// A heap of things that wait for a time, each of which knows its position, so that changing or
// removing one takes O(log n). What lies there says itself how: `Access` has
//   Time time_of(Item) const;
//   void set_position(Item, std::uint32_t) const;
// The order among equal times follows from the order of the calls alone. Pure. Not thread safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/time.h"

namespace mansio::schedule {

template <class Item, class Access>
class TimeHeap {
 public:
  explicit TimeHeap(Access access) : access_(std::move(access)) {}

  bool empty() const { return items_.empty(); }

  std::size_t size() const { return items_.size(); }

  Item top() const { return items_.front(); }

  const std::vector<Item>& items() const { return items_; }

  void push(Item item) {
    // By a quarter: a million lanes should not pay for two.
    if (items_.size() == items_.capacity()) items_.reserve(items_.size() + items_.size() / 4 + 16);
    items_.push_back(item);
    rise(items_.size() - 1, item);
  }

  void remove(std::uint32_t position) {
    const Item last = items_.back();
    items_.pop_back();
    if (position < items_.size()) settle(position, last);
    if (items_.empty() && items_.capacity() > kept) std::vector<Item>().swap(items_);
  }

  /// The time of the item there has changed.
  void update(std::uint32_t position) { settle(position, items_[position]); }

  /// The item there has another name now.
  void replace(std::uint32_t position, Item item) { place(position, item); }

  /// Any number of times have changed.
  void update_all() {
    for (std::size_t position = items_.size() / 2; position-- > 0;) {
      sink(position, items_[position]);
    }
    for (std::size_t position = 0; position < items_.size(); ++position) {
      place(position, items_[position]);
    }
  }

 private:
  void place(std::size_t position, Item item) {
    items_[position] = item;
    access_.set_position(item, static_cast<std::uint32_t>(position));
  }

  void settle(std::size_t position, Item item) {
    if (position > 0 && access_.time_of(item) < access_.time_of(items_[(position - 1) / 2])) {
      rise(position, item);
    } else {
      sink(position, item);
    }
  }

  void rise(std::size_t position, Item item) {
    const Time time = access_.time_of(item);
    while (position > 0) {
      const std::size_t parent = (position - 1) / 2;
      if (access_.time_of(items_[parent]) <= time) break;
      place(position, items_[parent]);
      position = parent;
    }
    place(position, item);
  }

  void sink(std::size_t position, Item item) {
    const Time time = access_.time_of(item);
    while (true) {
      std::size_t child = 2 * position + 1;
      if (child >= items_.size()) break;
      if (child + 1 < items_.size() &&
          access_.time_of(items_[child + 1]) < access_.time_of(items_[child])) {
        ++child;
      }
      if (access_.time_of(items_[child]) >= time) break;
      place(position, items_[child]);
      position = child;
    }
    place(position, item);
  }

  /// Of an empty heap: places that are not given back.
  static constexpr std::size_t kept = 1024;

  Access access_;
  std::vector<Item> items_;
};

}  // namespace mansio::schedule
