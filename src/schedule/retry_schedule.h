// When a deferred recipient is tried again, and when trying ends.
// Pure: no clock, no I/O. Thread safety: const calls may run concurrently.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace mansio::schedule {

struct RetryOptions {
  Duration min = std::chrono::minutes(15);
  double factor = 2.0;
  Duration max = std::chrono::hours(4);
  double jitter = 0.1;  ///< share of the delay, in [0, 1)
  Duration lifetime = std::chrono::hours(120);
  std::uint32_t tries_max = 0;      ///< 0: no limit
  std::vector<Duration> intervals;  ///< instead of min, factor and max; the last one repeats
};

/// Growing delays between a floor and a ceiling until the lifetime ends.
/// RFC 5321 §4.5.4.1: at least 30 minutes between tries unless the reason is known, giving up after
/// 4 to 5 days.
class RetrySchedule {
 public:
  /// Throws std::invalid_argument unless 0 <= min <= max, factor >= 1, 0 <= jitter < 1,
  /// lifetime > 0 and no interval is negative (start-up only).
  explicit RetrySchedule(RetryOptions options);

  /// Delay after the `retry_count`-th deferral (1 is the first). `jitter` in [0, 1) comes from the
  /// caller: 0.5 is the exact delay, 0 and 1 are the ends of the range.
  Duration delay(std::uint32_t retry_count, double jitter) const;

  /// Due time after that deferral, never later than `expires_at`, where the recipient expires.
  Time next_due(Time last_attempt, Time expires_at, std::uint32_t retry_count, double jitter) const;

  /// True: no further try, the last reply decides (tries_max was reached).
  bool tries_exhausted(std::uint32_t tries) const {
    return options_.tries_max != 0 && tries >= options_.tries_max;
  }

  /// How long a destination is left alone after its `failures`-th trouble in a row (1 is the
  /// first). Grows like the delays, but between a minute (or `min`, if that is less) and 15
  /// minutes.
  Duration trouble_delay(std::uint32_t failures, double jitter) const;

  const RetryOptions& options() const { return options_; }

 private:
  RetryOptions options_;
};

}  // namespace mansio::schedule
