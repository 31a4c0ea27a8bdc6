#include "queue/suspensions.h"

#include <algorithm>
#include <utility>

#include "settings/pattern.h"

namespace mansio::queue {
namespace {

Time end_of(const spool::Suspension& suspension) {
  return suspension.until == Time{} ? Time::max() : suspension.until;
}

}  // namespace

bool is_over(const spool::Suspension& suspension, Time now) { return end_of(suspension) <= now; }

std::string canonical_destination(std::string_view pattern) {
  std::string canonical = settings::canonical_pattern(pattern);
  return settings::valid_pattern(canonical) ? canonical : std::string();
}

Suspensions::Suspensions(std::vector<spool::Suspension> all) : all_(std::move(all)) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].destination.starts_with('*')) {
      patterns_.push_back(i);
    } else {
      exact_.emplace(all_[i].destination, i);
    }
  }
}

/// `visit` gets the suspension and how specific it is.
template <class Visit>
void Suspensions::visit_fitting(const LaneKey& lane, Visit visit) const {
  const auto consider = [&](const spool::Suspension& suspension) {
    if (!suspension.binding.empty() && suspension.binding != lane.binding) return;
    const std::size_t fit = settings::pattern_fit(suspension.destination, lane.destination);
    if (fit > 0) visit(suspension, std::pair(fit, !suspension.binding.empty()));
  };
  const auto [begin, end] = exact_.equal_range(lane.destination);
  for (auto found = begin; found != end; ++found) consider(all_[found->second]);
  for (const std::size_t index : patterns_) consider(all_[index]);
}

Time Suspensions::stopped_until(const LaneKey& lane) const {
  Time until{};
  visit_fitting(lane, [&until](const spool::Suspension& suspension, auto) {
    until = std::max(until, end_of(suspension));
  });
  return until;
}

const spool::Suspension* Suspensions::shown(const LaneKey& lane, Time now) const {
  const spool::Suspension* best = nullptr;
  std::pair<std::size_t, bool> best_fit;
  visit_fitting(lane, [&](const spool::Suspension& suspension, std::pair<std::size_t, bool> fit) {
    if (is_over(suspension, now) || (best != nullptr && fit <= best_fit)) return;
    best = &suspension;
    best_fit = fit;
  });
  return best;
}

std::optional<Time> Suspensions::first_end() const {
  std::optional<Time> first;
  for (const spool::Suspension& suspension : all_) {
    if (suspension.until == Time{}) continue;
    if (!first || suspension.until < *first) first = suspension.until;
  }
  return first;
}

}  // namespace mansio::queue
