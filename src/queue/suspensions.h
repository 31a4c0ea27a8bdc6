// Which lanes an operator has stopped, and until when. Immutable once made, so loops share one.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spool/spool.h"

namespace mansio::queue {

class Suspensions {
 public:
  Suspensions() = default;
  explicit Suspensions(std::vector<spool::Suspension> all);

  /// Until when the lane is stopped by all that fit it: epoch zero: not; Time::max(): until resumed.
  /// May be past.
  Time stopped_until(const LaneKey& lane) const;
  /// The one to name when somebody asks: of those in force the one with the most specific pattern,
  /// then one for the binding before one for all. Null: the lane is not stopped.
  const spool::Suspension* shown(const LaneKey& lane, Time now) const;

  const std::vector<spool::Suspension>& all() const { return all_; }

  bool empty() const { return all_.empty(); }

  /// When the first of those that end by themselves ends.
  std::optional<Time> first_end() const;

 private:
  template <class Visit>
  void visit_fitting(const LaneKey& lane, Visit visit) const;

  std::vector<spool::Suspension> all_;
  std::multimap<std::string, std::size_t, std::less<>> exact_;  // by destination
  std::vector<std::size_t> patterns_;
};

bool is_over(const spool::Suspension& suspension, Time now);

/// The destination as lanes are compared with it; empty: it is neither a destination nor a pattern.
std::string canonical_destination(std::string_view pattern);

}  // namespace mansio::queue
