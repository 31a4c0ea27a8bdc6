#include "queue/settlement.h"

#include <algorithm>
#include <utility>

namespace mansio::queue {
namespace {

Disposition missing_status() {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.reply = {451, {4, 3, 0}, "the target gave no status for this recipient"};
  disposition.stage = Stage::local;
  disposition.cause = Cause::missing;
  disposition.counts_as_try = false;
  return disposition;
}

/// A recipient whose only trouble was ours is told about a day after its lifetime: long enough for
/// people to mend it, and still an end.
constexpr Duration local_grace = std::chrono::hours(24);

/// Decides what a deferral means now: another try, or the end.
void defer(spool::RecipientOutcome& outcome, const schedule::RecipientWork& recipient,
           const schedule::Entry& entry, const schedule::RetrySchedule& retry, Time now,
           double jitter, bool stays) {
  Disposition& disposition = outcome.disposition;
  const std::uint32_t tries = recipient.tries + (disposition.counts_as_try ? 1 : 0);
  const Time end = tries > 0 ? entry.expires_at : entry.expires_at + local_grace;
  if (!stays && retry.tries_exhausted(tries)) {
    disposition.outcome = Outcome::failed;
    disposition.cause = Cause::tries;
  } else if (!stays && end <= now) {
    disposition.outcome = Outcome::expired;
    disposition.cause = Cause::lifetime;
  } else if (disposition.counts_as_try) {
    outcome.next_due = retry.next_due(now, entry.expires_at, tries, jitter);
  } else {
    // Our own trouble says nothing about the recipient: its delays grow by themselves.
    const std::uint32_t troubles =
        recipient.retry_count - std::min(recipient.tries, recipient.retry_count);
    outcome.next_due = now + retry.trouble_delay(troubles + 1, jitter);
  }
}

}  // namespace

Disposition give_up(Disposition last, Cause cause) {
  last.outcome = cause == Cause::lifetime ? Outcome::expired : Outcome::failed;
  last.cause = cause;
  last.counts_as_try = false;
  if (last.reply.code == 0 && last.reply.text.empty()) {
    last.reply = {0, {}, "no attempt had a result"};
  }
  return last;
}

Settlement settle_attempt(const schedule::Entry& entry, std::vector<Disposition> dispositions,
                          const schedule::RetrySchedule& retry, Time now, double jitter,
                          bool hold_doubt) {
  Settlement settlement;
  settlement.outcomes.reserve(entry.recipients.size());
  for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
    const schedule::RecipientWork& recipient = entry.recipients[i];
    spool::RecipientOutcome outcome;
    outcome.recipient = recipient.index;
    if (i < dispositions.size()) {
      outcome.disposition = std::move(dispositions[i]);
    } else {
      outcome.disposition = missing_status();
      ++settlement.faults;
    }
    Disposition& disposition = outcome.disposition;
    if (disposition.outcome == Outcome::deferred) {
      defer(outcome, recipient, entry, retry, now, jitter, disposition.in_doubt && hold_doubt);
    }
    settlement.outcomes.push_back(std::move(outcome));
  }
  return settlement;
}

}  // namespace mansio::queue
