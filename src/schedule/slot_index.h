// A hash index of numbers whose keys lie elsewhere: five octets for each and some room. The caller
// gives the hash and compares the keys. Pure. Not thread safe.
#pragma once

#include <cstdint>
#include <vector>

namespace mansio::schedule {

class SlotIndex {
 public:
  /// The number for which `fits(number)` holds; 0: there is none.
  template <class Fits>
  std::uint32_t find(std::uint64_t hash, Fits fits) const {
    if (tags_.empty()) return 0;
    for (std::size_t at = home_of(hash); tags_[at] != free_tag; at = after(at)) {
      if (tags_[at] == tag_of(hash) && fits(slots_[at])) return slots_[at];
    }
    return 0;
  }

  /// A number that is not here. `hash_of(number)`: of those that are here.
  template <class HashOf>
  void insert(std::uint64_t hash, std::uint32_t slot, HashOf hash_of) {
    if ((used_ + 1) * 100 > tags_.size() * 85) rebuild(hash_of);
    place(hash, slot);
  }

  void remove(std::uint64_t hash, std::uint32_t slot) {
    std::size_t at = home_of(hash);
    while (tags_[at] != tag_of(hash) || slots_[at] != slot) at = after(at);
    // Whoever was put beyond it must still be found.
    const bool last = tags_[after(at)] == free_tag;
    tags_[at] = last ? free_tag : gone_tag;
    if (last) --used_;
    --size_;
  }

  void clear() { *this = SlotIndex(); }

 private:
  static constexpr std::uint8_t free_tag = 0;
  static constexpr std::uint8_t gone_tag = 1;

  static std::uint8_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint8_t>(2 + (hash & 0xff) % 254);
  }

  std::size_t home_of(std::uint64_t hash) const { return (hash >> 32) * tags_.size() >> 32; }

  std::size_t after(std::size_t at) const { return at + 1 == tags_.size() ? 0 : at + 1; }

  void place(std::uint64_t hash, std::uint32_t slot) {
    std::size_t at = home_of(hash);
    while (tags_[at] > gone_tag) at = after(at);
    if (tags_[at] == free_tag) ++used_;
    tags_[at] = tag_of(hash);
    slots_[at] = slot;
    ++size_;
  }

  template <class HashOf>
  void rebuild(HashOf hash_of) {
    SlotIndex fresh;
    const std::size_t capacity = 16 + size_ + size_ * 6 / 10;
    fresh.tags_.resize(capacity);
    fresh.slots_.resize(capacity);
    for (std::size_t at = 0; at < tags_.size(); ++at) {
      if (tags_[at] > gone_tag) fresh.place(hash_of(slots_[at]), slots_[at]);
    }
    *this = std::move(fresh);
  }

  std::vector<std::uint8_t> tags_;
  std::vector<std::uint32_t> slots_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;  ///< with those that are gone
};

}  // namespace mansio::schedule
