// From what an attempt brought to what is stored: the retry policy applied to each recipient. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "schedule/retry_schedule.h"
#include "schedule/scheduler.h"
#include "spool/spool.h"

namespace mansio::queue {

struct Settlement {
  std::vector<spool::RecipientOutcome> outcomes;  ///< in the order of entry.recipients
  std::uint64_t faults = 0;                       ///< dispositions that were missing
};

/// `dispositions` has one for each of entry.recipients, in order; missing ones are deferrals for a
/// local cause. A deferral becomes a failure when tries_max is reached (with the last reply), and
/// an expiry when the lifetime is over. `jitter` in [0, 1) is one for the whole attempt, so that
/// recipients that were deferred together stay together. `hold_doubt`: a recipient in doubt stays
/// deferred whatever its tries and lifetime, since an operator decides about it.
Settlement settle_attempt(const schedule::Entry& entry, std::vector<Disposition> dispositions,
                          const schedule::RetrySchedule& retry, Time now, double jitter,
                          bool hold_doubt);

/// The end without another attempt: `last` is what is known of the recipient so far.
Disposition give_up(Disposition last, Cause cause);

}  // namespace mansio::queue
