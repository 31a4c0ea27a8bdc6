#include "schedule/window.h"

#include <algorithm>

namespace mansio::schedule {
namespace {

/// Taken places that are not worth a move of the others.
constexpr std::size_t slack = 32;

}  // namespace

std::size_t Window::position_of(const DueCursor& place) const {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(head_);
  const auto found = std::ranges::lower_bound(begin, entries_.end(), place, {}, &Entry::place);
  return static_cast<std::size_t>(found - entries_.begin());
}

std::pair<Entry*, bool> Window::insert(Entry&& entry) {
  if (empty() || back().place < entry.place) {
    entries_.push_back(std::move(entry));
    return {&entries_.back(), true};
  }
  if (head_ > 0 && entry.place < front().place) {
    entries_[--head_] = std::move(entry);
    return {&entries_[head_], true};
  }
  const std::size_t position = position_of(entry.place);
  if (position < entries_.size() && entries_[position].place == entry.place) {
    return {&entries_[position], false};
  }
  const auto at = entries_.begin() + static_cast<std::ptrdiff_t>(position);
  return {&*entries_.insert(at, std::move(entry)), true};
}

Entry Window::pop_front() {
  Entry entry = std::move(entries_[head_++]);
  if (empty()) {
    entries_.clear();
    head_ = 0;
  } else if (head_ > slack && head_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return entry;
}

Entry Window::pop_back() {
  Entry entry = std::move(entries_.back());
  entries_.pop_back();
  return entry;
}

std::optional<Entry> Window::remove(const DueCursor& place) {
  const std::size_t position = position_of(place);
  if (position == entries_.size() || entries_[position].place != place) return std::nullopt;
  Entry entry = std::move(entries_[position]);
  entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(position));
  return entry;
}

void Window::clear() {
  entries_ = std::vector<Entry>();
  head_ = 0;
}

}  // namespace mansio::schedule
