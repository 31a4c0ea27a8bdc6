// How far pages have shown the flows lately. What is committed may show up in a page, be delivered
// and be gone before its add() comes: such an entry must not enter a window. Remembers each flow
// for one to two minutes, in 24 octets. A flow may be taken for another whose hash is the same;
// that costs a look at the disk. Pure. Not thread safe.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/work.h"

namespace mansio::schedule {

class SeenPlaces {
 public:
  /// A page showed the flow up to there.
  void note(const FlowKey& flow, const DueCursor& place, Time now);
  /// A page may have shown the entry there.
  bool contains(const FlowKey& flow, const DueCursor& place, Time now);

 private:
  struct Place {
    std::uint64_t flow = 0;  ///< its hash; 0: free
    Time due{};
    std::uint64_t id = 0;  ///< the first half
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  /// Of one period.
  class Table {
   public:
    void note(const Place& place);
    bool contains(const Place& place) const;

    bool empty() const { return size_ == 0; }

   private:
    std::size_t home_of(std::uint64_t flow) const;
    void grow();

    std::vector<Place> places_;
    std::size_t size_ = 0;
  };

  static Place make_place(const FlowKey& flow, const DueCursor& place);
  void turn(Time now);

  Table recent_, older_;
  Time turned_at_{};
};

}  // namespace mansio::schedule
