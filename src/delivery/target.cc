// The target contract, run from one place: what a failure at each step means for each recipient
// stands in mansio/target.hpp.
#include "mansio/target.hpp"

#include <utility>

namespace mansio {
namespace {

Disposition missing_status() {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.stage = Stage::local;
  disposition.cause = Cause::missing;
  disposition.reply.code = 451;
  disposition.reply.enhanced = {4, 3, 0};
  disposition.reply.text = "the target reported no outcome for this recipient";
  disposition.counts_as_try = false;
  return disposition;
}

bool delivered(const Disposition& disposition) { return disposition.outcome == Outcome::delivered; }

}  // namespace

Task<std::vector<Disposition>> Delivery::body_with_status(ContentReader& content) {
  // Without statuses of its own, the body's outcome is everybody's; deliver_to() spreads a single
  // disposition only through body(), so this is reached by direct callers alone.
  std::vector<Disposition> statuses;
  statuses.push_back(co_await body(content));
  co_return statuses;
}

Task<std::vector<Disposition>> deliver_to(Target& target, const Message& message,
                                          const std::vector<std::uint32_t>& recipients,
                                          ContentReader& content, std::uint64_t& faults) {
  std::vector<Disposition> results(recipients.size());
  Started started = co_await target.start(message);
  if (!started.delivery) {
    if (delivered(started.disposition)) {
      ++faults;
      started.disposition = missing_status();
    }
    results.assign(recipients.size(), started.disposition);
    co_return results;
  }
  Delivery& delivery = *started.delivery;

  std::vector<std::size_t> accepted;  // places in `results`, in the order of acceptance
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    results[i] = co_await delivery.add_recipient(message.envelope.recipients.at(recipients[i]));
    if (delivered(results[i])) accepted.push_back(i);
  }
  if (accepted.empty()) {
    co_await delivery.abort();
    co_return results;
  }

  if (delivery.has_status()) {
    std::vector<Disposition> statuses = co_await delivery.body_with_status(content);
    for (std::size_t i = 0; i < accepted.size(); ++i) {
      if (i < statuses.size()) {
        results[accepted[i]] = std::move(statuses[i]);
      } else {
        ++faults;
        results[accepted[i]] = missing_status();
      }
    }
  } else {
    const Disposition outcome = co_await delivery.body(content);
    for (const std::size_t place : accepted) results[place] = outcome;
  }

  bool any_delivered = false;
  for (const std::size_t place : accepted) any_delivered |= delivered(results[place]);
  if (!any_delivered) {
    co_await delivery.abort();
    co_return results;
  }
  const Disposition committed = co_await delivery.commit();
  if (!delivered(committed)) {
    // A recipient that failed by itself keeps its own, more exact reason.
    for (const std::size_t place : accepted) {
      if (delivered(results[place])) results[place] = committed;
    }
  }
  co_return results;
}

}  // namespace mansio
