// How it works: a change is made to a copy of the state; totals and due entries are computed from
// the states before and after, so that they cannot drift from what was really changed.
#include "spool/ledger.h"

#include <algorithm>
#include <compare>
#include <initializer_list>
#include <optional>

#include "base/assert.h"

namespace mansio::spool {
namespace {

using StatePtr = std::shared_ptr<StoredMessage>;

constexpr std::size_t detail_octets_max = 400;

Applied refusal(Status status, std::string detail, const StatePtr& state) {
  Applied applied;
  applied.answer.status = status;
  applied.answer.detail = std::move(detail);
  applied.before = applied.after = contribution(state.get());
  applied.answer.recipients_left = static_cast<std::uint32_t>(applied.after.queued);
  return applied;
}

void add_detail(std::string& detail, const std::string& more) {
  if (detail.size() + more.size() > detail_octets_max) return;
  if (!detail.empty()) detail += "; ";
  detail += more;
}

Event whole_message_event(const StoredMessage& state, EventKind kind, Time at) {
  Event event;
  event.id = state.message.id;
  event.entry.at = at;
  event.entry.kind = kind;
  event.size = state.message.content.facts.size;
  event.tenant = state.message.tenant;
  return event;
}

Event recipient_event(const StoredMessage& state, std::uint32_t index, EventKind kind, Time at) {
  Event event = whole_message_event(state, kind, at);
  event.entry.recipient = index;
  event.entry.recipient_address = state.message.envelope.recipients[index].address.to_string();
  event.entry.attempt = state.recipients[index].tries;
  event.lane = state.message.lanes[index];
  return event;
}

void add_notice_events(const std::vector<Admit>& notices, const StoredMessage& state, Time at,
                       std::vector<Event>& events) {
  for (const Admit& notice : notices) {
    Event event = whole_message_event(state, EventKind::notice, at);
    event.entry.reason = notice.message.id.to_string();
    events.push_back(std::move(event));
  }
}

/// The due entries that were there and are not as they were, and those that are new. Both lists are
/// in the order of (lane, due), so one pass will do: messages may have a thousand lanes.
std::vector<DueChange> due_difference(std::vector<DueChange> before, std::vector<DueChange> after) {
  std::vector<DueChange> changes;
  auto old = before.begin();
  auto fresh = after.begin();
  while (old != before.end() || fresh != after.end()) {
    std::strong_ordering order = std::strong_ordering::equal;
    if (old == before.end()) {
      order = std::strong_ordering::greater;
    } else if (fresh == after.end()) {
      order = std::strong_ordering::less;
    } else {
      order = old->flow <=> fresh->flow;
      if (order == 0) order = old->due <=> fresh->due;
    }
    if (order < 0) {
      old->recipients.clear();
      changes.push_back(std::move(*old++));
      continue;
    }
    if (order > 0 || old->recipients != fresh->recipients) changes.push_back(std::move(*fresh));
    ++fresh;
    if (order == 0) ++old;
  }
  return changes;
}

/// Fills in what follows from the states before and after.
void conclude(Applied& applied, const StoredMessage* before, const StoredMessage& after) {
  applied.before = contribution(before);
  applied.after = contribution(&after);
  applied.due = due_difference(before == nullptr ? std::vector<DueChange>{} : due_entries(*before),
                               due_entries(after));
  applied.finished = applied.after.queued == 0 && !applied.touched.empty();
  applied.answer.recipients_left = static_cast<std::uint32_t>(applied.after.queued);
  applied.answer.changed = static_cast<std::uint32_t>(applied.touched.size());
}

// ---- admit ------------------------------------------------------------------------------------

/// The same mail, however often it is handed over. Times and the name of the content may differ.
bool same_content(const Message& a, const Message& b) {
  return a.envelope == b.envelope && a.content.facts == b.content.facts && a.lanes == b.lanes &&
         a.tenant == b.tenant && a.campaign == b.campaign && a.is_notice == b.is_notice;
}

Applied apply_admit(const Admit& admit, StatePtr& state) {
  const Message& message = admit.message;
  const std::size_t count = message.envelope.recipients.size();
  if (state != nullptr) {
    if (same_content(state->message, message)) return refusal(Status::committed, "", state);
    return refusal(Status::refused, "the id is in use by another message", state);
  }
  if (message.id.is_nil()) return refusal(Status::refused, "the message has no id", state);
  if (count == 0) return refusal(Status::refused, "the message has no recipient", state);
  if (message.lanes.size() != count || admit.due.size() != count) {
    return refusal(Status::refused, "recipients, lanes and due times differ in number", state);
  }
  auto admitted = std::make_shared<StoredMessage>();
  admitted->message = message;
  admitted->message.content.octets = nullptr;
  admitted->recipients.resize(count);
  Applied applied;
  for (std::uint32_t i = 0; i < count; ++i) {
    admitted->recipients[i].due = admit.due[i];
    applied.touched.push_back(i);
  }
  applied.created = true;
  applied.answer.status = Status::committed;
  applied.events.push_back(
      whole_message_event(*admitted, EventKind::accepted, message.accepted_at));
  conclude(applied, nullptr, *admitted);
  state = std::move(admitted);
  return applied;
}

// ---- settle -----------------------------------------------------------------------------------

EventKind event_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::delivered:
      return EventKind::delivered;
    case Outcome::deferred:
      return EventKind::deferred;
    case Outcome::failed:
      return EventKind::failed;
    case Outcome::expired:
      return EventKind::expired;
  }
  MANSIO_ASSERT(!"an outcome");
}

/// Where an outcome leads. A deferral of a recipient that was stopped while it was in flight leaves
/// it stopped; one that says what became of a transaction in doubt ends the doubt.
RecipientState state_after(RecipientState state, const Disposition& disposition) {
  switch (disposition.outcome) {
    case Outcome::delivered:
      return RecipientState::delivered;
    case Outcome::failed:
      return RecipientState::failed;
    case Outcome::expired:
      return RecipientState::expired;
    case Outcome::deferred:
      break;
  }
  const bool doubt_ended = state == RecipientState::in_doubt && !disposition.in_doubt;
  return doubt_ended ? RecipientState::queued : state;
}

void apply_outcome(const RecipientOutcome& outcome, Time at, RecipientStatus& status) {
  const Disposition& disposition = outcome.disposition;
  status.state = state_after(status.state, disposition);
  if (disposition.counts_as_try) ++status.tries;
  if (disposition.outcome == Outcome::deferred) {
    ++status.retry_count;
    status.due = outcome.next_due;
  }
  status.last_attempt = at;
  status.last = disposition;
}

/// Why this outcome cannot be applied; empty: it can.
std::string objection(const StoredMessage& state, const RecipientOutcome& outcome,
                      const std::vector<std::uint32_t>& touched) {
  const std::string name = "recipient " + std::to_string(outcome.recipient) + ": ";
  if (outcome.recipient >= state.recipients.size()) return name + "no such recipient";
  if (std::find(touched.begin(), touched.end(), outcome.recipient) != touched.end()) {
    return name + "named twice";
  }
  const RecipientState now = state.recipients[outcome.recipient].state;
  return is_final(now) ? name + "already " + to_text(now) : std::string{};
}

/// Is any recipient still due, so that a lease on the message has a use?
bool has_due(const StoredMessage& state, Time at) {
  return std::any_of(state.recipients.begin(), state.recipients.end(), [at](const auto& status) {
    return status.state == RecipientState::queued && status.due <= at;
  });
}

Applied apply_settle(const Settle& settle, StatePtr& state) {
  if (state == nullptr) return refusal(Status::missing, "no such message", state);
  if (settle.epoch != 0 && settle.epoch != state->epoch) {
    return refusal(Status::fenced, "the lease went to another holder", state);
  }
  auto settled = std::make_shared<StoredMessage>(*state);
  Applied applied;
  for (const RecipientOutcome& outcome : settle.outcomes) {
    const std::string refused = objection(*settled, outcome, applied.touched);
    if (!refused.empty()) {
      add_detail(applied.answer.detail, refused);
      continue;
    }
    apply_outcome(outcome, settle.at, settled->recipients[outcome.recipient]);
    applied.touched.push_back(outcome.recipient);
    Event event = recipient_event(*settled, outcome.recipient,
                                  event_of(outcome.disposition.outcome), settle.at);
    event.entry.disposition = outcome.disposition;
    if (outcome.disposition.outcome == Outcome::deferred) event.entry.next_due = outcome.next_due;
    applied.events.push_back(std::move(event));
  }
  if (applied.touched.empty()) {
    std::string detail = std::move(applied.answer.detail);
    return refusal(Status::refused, detail.empty() ? "no outcome was given" : detail, state);
  }
  // What was claimed was due; with nothing due any more, nobody works on the message.
  if (settled->lease_until > settle.at && !has_due(*settled, settle.at)) {
    settled->lease_until = settle.at;
  }
  add_notice_events(settle.notices, *settled, settle.at, applied.events);
  applied.answer.status = Status::committed;
  conclude(applied, state.get(), *settled);
  state = std::move(settled);
  return applied;
}

// ---- change -----------------------------------------------------------------------------------

struct Move {
  RecipientState to;
  EventKind event;
};

/// What the verb does to a recipient in `state`; nullopt: nothing.
std::optional<Move> move_of(Verb verb, RecipientState state) {
  using enum RecipientState;
  if (is_final(state)) return std::nullopt;
  const auto from = [state](std::initializer_list<RecipientState> states, Move move) {
    const bool taken = std::find(states.begin(), states.end(), state) != states.end();
    return taken ? std::optional<Move>(move) : std::nullopt;
  };
  switch (verb) {
    case Verb::make_due:
      return from({queued}, {queued, EventKind::retried});
    case Verb::hold:
      return from({queued, in_doubt}, {held, EventKind::held});
    case Verb::release:
      return from({held, in_doubt, RecipientState::quarantined}, {queued, EventKind::released});
    case Verb::fail:
      return Move{failed, EventKind::failed};
    case Verb::remove:
      return Move{removed, EventKind::removed};
    case Verb::expire:
      return Move{expired, EventKind::expired};
    case Verb::move:
      return Move{moved, EventKind::moved};
    case Verb::mark_in_doubt:
      return from({queued}, {in_doubt, EventKind::in_doubt});
    case Verb::quarantine:
      return from({queued, held, in_doubt}, {RecipientState::quarantined, EventKind::quarantined});
    case Verb::report_delay:
      return Move{state, EventKind::notice};
  }
  return std::nullopt;
}

void apply_verb(const Change& change, Move move, RecipientStatus& status) {
  status.state = move.to;
  switch (change.verb) {
    case Verb::make_due:
    case Verb::release:
      status.due = change.due;
      break;
    case Verb::fail:
      status.last = change.disposition;
      status.last.outcome = Outcome::failed;
      break;
    case Verb::expire:
      status.last = change.disposition;
      status.last.outcome = Outcome::expired;
      break;
    case Verb::mark_in_doubt:
      // A doubt found at start has no more to say than the last attempt that has an outcome.
      if (change.disposition.in_doubt) status.last = change.disposition;
      break;
    case Verb::report_delay:
      ++status.delay_notices;
      break;
    case Verb::hold:
    case Verb::remove:
    case Verb::move:
    case Verb::quarantine:
      break;
  }
}

/// The recipients meant, each once and in order; nullopt: one of them does not exist.
std::optional<std::vector<std::uint32_t>> meant(const Change& change, std::size_t count) {
  std::vector<std::uint32_t> indexes = change.recipients;
  if (indexes.empty()) {
    for (std::uint32_t i = 0; i < count; ++i) indexes.push_back(i);
    return indexes;
  }
  std::sort(indexes.begin(), indexes.end());
  indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
  if (indexes.back() >= count) return std::nullopt;
  return indexes;
}

Applied apply_change(const Change& change, StatePtr& state) {
  if (state == nullptr) return refusal(Status::missing, "no such message", state);
  const auto indexes = meant(change, state->recipients.size());
  if (!indexes) return refusal(Status::refused, "no such recipient", state);

  // A notice that names recipients tells of them all: not of one whose outcome came between.
  const bool names_final =
      change.verb == Verb::report_delay && !change.recipients.empty() && !change.notices.empty() &&
      std::any_of(indexes->begin(), indexes->end(),
                  [&](std::uint32_t index) { return is_final(state->recipients[index].state); });
  if (names_final) return refusal(Status::refused, "a recipient has its outcome", state);

  auto changed = std::make_shared<StoredMessage>(*state);
  Applied applied;
  for (const std::uint32_t index : *indexes) {
    RecipientStatus& status = changed->recipients[index];
    const std::optional<Move> move = move_of(change.verb, status.state);
    if (!move) continue;
    apply_verb(change, *move, status);
    applied.touched.push_back(index);
    Event event = recipient_event(*changed, index, move->event, change.at);
    const bool has_outcome = change.verb == Verb::fail || change.verb == Verb::expire;
    event.entry.disposition = has_outcome ? status.last : change.disposition;
    if (move->to == RecipientState::queued) event.entry.next_due = status.due;
    event.entry.reason = change.reason;
    event.entry.actor = change.actor;
    applied.events.push_back(std::move(event));
  }
  if (applied.touched.empty()) {
    return refusal(Status::committed,
                   std::string("no recipient is in a state that takes ") + to_text(change.verb),
                   state);
  }
  add_notice_events(change.notices, *changed, change.at, applied.events);
  applied.answer.status = Status::committed;
  conclude(applied, state.get(), *changed);
  state = std::move(changed);
  return applied;
}

// ---- leases -----------------------------------------------------------------------------------

Applied apply_renew(const Renew& renew, StatePtr& state) {
  if (state == nullptr) return refusal(Status::missing, "no such message", state);
  if (renew.epoch == 0 || renew.epoch != state->epoch) {
    return refusal(Status::fenced, "the lease went to another holder", state);
  }
  if (state->lease_until <= renew.at) return refusal(Status::fenced, "the lease is over", state);
  if (renew.until < renew.at) return refusal(Status::refused, "the new end is past", state);

  auto renewed = std::make_shared<StoredMessage>(*state);
  renewed->lease_until = renew.until;
  state = std::move(renewed);
  return refusal(Status::committed, "", state);
}

}  // namespace

Applied apply(const Operation& operation, StatePtr& state) {
  if (const auto* admit = std::get_if<Admit>(&operation)) return apply_admit(*admit, state);
  if (const auto* settle = std::get_if<Settle>(&operation)) return apply_settle(*settle, state);
  if (const auto* change = std::get_if<Change>(&operation)) return apply_change(*change, state);
  const auto* renew = std::get_if<Renew>(&operation);
  // A Claim names a lane (its committer calls claim() by message); Suspend names none, and Record
  // changes none.
  MANSIO_ASSERT(renew != nullptr);
  return apply_renew(*renew, state);
}

Applied claim(const Claim& claim, StatePtr& state) {
  if (state == nullptr) return refusal(Status::missing, "no such message", state);
  if (claim.until <= claim.at) return refusal(Status::refused, "the lease would be over", state);
  if (state->lease_until > claim.at) return refusal(Status::refused, "leased", state);

  Claimed claimed;
  for (std::uint32_t i = 0; i < state->recipients.size(); ++i) {
    const RecipientStatus& status = state->recipients[i];
    if (status.state == RecipientState::queued && status.due <= claim.at &&
        state->message.lanes[i] == claim.lane) {
      claimed.recipients.push_back(i);
    }
  }
  if (claimed.recipients.empty()) return refusal(Status::refused, "nothing is due", state);

  auto leased = std::make_shared<StoredMessage>(*state);
  leased->epoch += 1;
  leased->lease_until = claim.until;
  claimed.id = leased->message.id;
  claimed.epoch = leased->epoch;
  state = std::move(leased);
  Applied applied = refusal(Status::committed, "", state);
  applied.answer.claimed.push_back(std::move(claimed));
  return applied;
}

bool takes(Verb verb, RecipientState state) { return move_of(verb, state).has_value(); }

Applied record(const Record& record, const StoredMessage* state) {
  Applied applied;
  applied.before = applied.after = contribution(state);
  applied.answer.recipients_left = static_cast<std::uint32_t>(applied.after.queued);
  applied.answer.status = Status::refused;
  const bool known = state != nullptr && record.recipient.has_value();
  if (record.id.is_nil()) {
    applied.answer.detail = "the record names no message";
  } else if (known && *record.recipient >= state->recipients.size()) {
    applied.answer.detail = "no such recipient";
  } else {
    applied.answer.status = Status::committed;
  }
  if (applied.answer.status != Status::committed) return applied;

  Event event;
  event.id = record.id;
  event.entry.at = record.at;
  event.entry.kind = EventKind::bounced;
  event.entry.recipient = record.recipient;
  event.entry.recipient_address = record.recipient_address;
  event.entry.disposition = record.disposition;
  event.entry.reason = record.reason;
  event.entry.actor = record.actor;
  event.tenant = state == nullptr ? record.tenant : state->message.tenant;
  if (state != nullptr) event.size = state->message.content.facts.size;
  if (known) {
    event.entry.attempt = state->recipients[*record.recipient].tries;
    event.lane = state->message.lanes[*record.recipient];
  }
  applied.events.push_back(std::move(event));
  return applied;
}

namespace {

/// Why it cannot be stored; empty: it can.
std::string objection(const Suspension& suspension) {
  if (suspension.destination.empty()) return "the suspension names no destination";
  for (const std::string* text :
       {&suspension.destination, &suspension.binding, &suspension.reason, &suspension.actor}) {
    const bool has_control = std::any_of(text->begin(), text->end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (has_control || text->size() > suspension_text_max) {
      return "a text of the suspension is too long or has control characters";
    }
  }
  return {};
}

}  // namespace

Answer suspend(const Suspend& suspend, SuspensionTable& table) {
  Answer answer;
  const auto key = std::pair(suspend.suspension.destination, suspend.suspension.binding);
  if (suspend.resume) {
    answer.status = table.erase(key) > 0 ? Status::committed : Status::missing;
    if (answer.status == Status::missing) answer.detail = "nothing is suspended so";
    return answer;
  }
  answer.detail = objection(suspend.suspension);
  if (answer.detail.empty() && table.size() >= suspensions_max && !table.contains(key)) {
    answer.detail = "too many suspensions";
  }
  answer.status = answer.detail.empty() ? Status::committed : Status::refused;
  if (answer.status == Status::committed) table[key] = suspend.suspension;
  return answer;
}

Totals contribution(const StoredMessage* state) {
  Totals totals;
  if (state == nullptr) return totals;
  for (const RecipientStatus& status : state->recipients) {
    ++totals.accepted;
    if (!is_final(status.state)) ++totals.queued;
    switch (status.state) {
      case RecipientState::queued:
        break;
      case RecipientState::held:
        ++totals.held;
        break;
      case RecipientState::in_doubt:
        ++totals.in_doubt;
        break;
      case RecipientState::quarantined:
        ++totals.quarantined;
        break;
      case RecipientState::delivered:
        ++totals.delivered;
        break;
      case RecipientState::failed:
        ++totals.failed;
        break;
      case RecipientState::expired:
        ++totals.expired;
        break;
      case RecipientState::removed:
        ++totals.removed;
        break;
      case RecipientState::moved:
        ++totals.moved;
        break;
    }
  }
  if (totals.queued > 0) {
    totals.messages = 1;
    totals.octets = state->message.content.facts.size;
  }
  return totals;
}

std::vector<DueChange> due_entries(const StoredMessage& state) {
  const std::vector<LaneKey>& lanes = state.message.lanes;
  std::vector<std::uint32_t> queued;
  for (std::uint32_t i = 0; i < state.recipients.size(); ++i) {
    if (state.recipients[i].state == RecipientState::queued) queued.push_back(i);
  }
  if (queued.empty()) return {};
  const auto order = [&](std::uint32_t a, std::uint32_t b) {
    if (const auto by_lane = lanes[a] <=> lanes[b]; by_lane != 0) return by_lane < 0;
    return state.recipients[a].due < state.recipients[b].due;
  };
  std::stable_sort(queued.begin(), queued.end(), order);

  std::vector<DueChange> entries;
  const std::uint32_t flow = flow_of(state.message);
  for (const std::uint32_t index : queued) {
    const bool joins = !entries.empty() && entries.back().due == state.recipients[index].due &&
                       entries.back().flow.lane == lanes[index];
    if (!joins) {
      entries.push_back(
          {FlowKey{lanes[index], state.message.klass, flow}, state.recipients[index].due, {}});
    }
    entries.back().recipients.push_back(index);
  }
  return entries;
}

}  // namespace mansio::spool
