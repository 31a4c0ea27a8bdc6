#include "schedule/retry_schedule.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace mansio::schedule {
namespace {

constexpr Duration trouble_floor = std::chrono::minutes(1);
constexpr Duration trouble_ceiling = std::chrono::minutes(15);

/// min × factor^(count-1), at most max. The power is capped before it is turned into a whole
/// number, so that large counts neither overflow nor lose the fraction of small ones.
Duration grown(Duration min, double factor, Duration max, std::uint32_t count) {
  const double exponent = count == 0 ? 0.0 : static_cast<double>(count - 1);
  const double value = static_cast<double>(min.count()) * std::pow(factor, exponent);
  if (!(value < static_cast<double>(max.count()))) return max;
  return Duration(std::llround(value));
}

Duration jittered(Duration delay, double share, double position) {
  const double offset = static_cast<double>(delay.count()) * share * (2.0 * position - 1.0);
  return delay + Duration(std::llround(offset));
}

}  // namespace

RetrySchedule::RetrySchedule(RetryOptions options) : options_(std::move(options)) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
  };
  require(options_.min >= Duration::zero() && options_.min <= options_.max,
          "retry: 0 <= min <= max must hold");
  require(options_.factor >= 1.0, "retry: factor must be at least 1");
  require(options_.jitter >= 0.0 && options_.jitter < 1.0, "retry: jitter must be in [0, 1)");
  require(options_.lifetime > Duration::zero(), "retry: lifetime must be positive");
  require(std::ranges::all_of(options_.intervals,
                              [](Duration interval) { return interval >= Duration::zero(); }),
          "retry: intervals must not be negative");
}

Duration RetrySchedule::delay(std::uint32_t retry_count, double jitter) const {
  const std::uint32_t count = std::max(retry_count, 1u);
  if (options_.intervals.empty()) {
    return jittered(grown(options_.min, options_.factor, options_.max, count), options_.jitter,
                    jitter);
  }
  const std::size_t index = std::min<std::size_t>(count, options_.intervals.size()) - 1;
  return jittered(options_.intervals[index], options_.jitter, jitter);
}

Time RetrySchedule::next_due(Time last_attempt, Time expires_at, std::uint32_t retry_count,
                             double jitter) const {
  return std::max(last_attempt, std::min(last_attempt + delay(retry_count, jitter), expires_at));
}

Duration RetrySchedule::trouble_delay(std::uint32_t failures, double jitter) const {
  const Duration first = options_.intervals.empty() ? options_.min : options_.intervals.front();
  const Duration floor = std::min(first, trouble_floor);
  const Duration ceiling =
      std::max(floor, std::min(std::max(first, options_.max), trouble_ceiling));
  return jittered(grown(floor, std::max(options_.factor, 1.0), ceiling, failures), options_.jitter,
                  jitter);
}

}  // namespace mansio::schedule
