// Who gets a session, and what its sessions work on.
#include <algorithm>

#include "base/assert.h"
#include "schedule/scheduler.h"

namespace mansio::schedule {
namespace {

/// Due entries that one more session is worth: below it, the sessions there are keep up.
constexpr std::uint64_t backlog_per_session = 8;
/// A due entry that waits longer than this says that the sessions are bound by latency.
constexpr Duration patience = std::chrono::milliseconds(250);
/// Sessions that a lane may have before anything of it has worked; each success adds one.
constexpr std::uint64_t sessions_at_first = 2;
/// Waiting lanes that are looked at in one go while the budget is used up.
constexpr std::size_t waiting_lanes_per_look = 16;

}  // namespace

// ---- the work of a session --------------------------------------------------------------------

void Scheduler::begin_work(Flow& flow, const DueCursor& place) {
  ++flow.busy[place];
  ++entries_in_flight_;
}

std::optional<Cause> Scheduler::ended(const Lane& lane, const Entry& entry,
                                      const RecipientWork& recipient, Time now) const {
  if (options_.tries_max != 0 && recipient.tries >= options_.tries_max) return Cause::tries;
  // A recipient that nobody ever tried gets one chance, unless its destination is known to be down:
  // a clock that jumped must not end mail unseen.
  if (entry.expires_at <= now && (recipient.tries > 0 || lane.failures() > 0)) {
    return Cause::lifetime;
  }
  return std::nullopt;
}

/// Moves ended recipients of the entry to GiveUp actions; false when none is left to work on.
bool Scheduler::give_up_what_ended(Lane& lane, const FlowId& id, Flow& flow, Entry& entry,
                                   Time now) {
  const bool tired = options_.tries_max != 0;
  if (!tired && entry.expires_at > now) return true;
  for (const Cause cause : {Cause::tries, Cause::lifetime}) {
    Entry over{entry.place, entry.expires_at, {}, entry.message, entry.octets};
    std::erase_if(entry.recipients, [&](const RecipientWork& recipient) {
      if (ended(lane, entry, recipient, now) != cause) return false;
      over.recipients.push_back(recipient);
      return true;
    });
    if (over.recipients.empty()) continue;
    begin_work(flow, over.place);
    actions_.push_back(GiveUp{key_of(lane, id), std::move(over), cause});
  }
  return !entry.recipients.empty();
}

std::optional<std::pair<FlowKey, Entry>> Scheduler::take(const LaneKey& key,
                                                         std::uint32_t recipients_max, Time now) {
  Lane* lane = find(key);
  if (lane == nullptr || lane->closed(now)) return std::nullopt;
  std::optional<std::pair<FlowKey, Entry>> taken;
  // Classes in order; within a class the flow after the one that was served last.
  auto& flows = lane->flows;
  for (auto begin = flows.begin(); begin != flows.end() && !taken && lane->window_entries > 0;) {
    const PriorityClass klass = begin->first.klass;
    std::uint32_t& turn = lane->turn[static_cast<std::size_t>(klass) % lane->turn.size()];
    const auto class_end = flows.upper_bound({klass, ~std::uint32_t{0}});
    auto start = flows.upper_bound({klass, turn});
    if (start == class_end) start = begin;
    auto at = start;
    do {
      if (auto entry = take_from(*lane, at->first, at->second, recipients_max, now)) {
        turn = at->first.flow;
        taken.emplace(key_of(*lane, at->first), std::move(*entry));
        break;
      }
      if (++at == class_end) at = begin;
    } while (at != start);
    begin = class_end;
  }
  load_due(*lane, now);
  fill_windows(now);
  return taken;
}

std::optional<Entry> Scheduler::take_from(Lane& lane, const FlowId& id, Flow& flow,
                                          std::uint32_t recipients_max, Time now) {
  while (!flow.window.empty()) {
    Entry entry = pop_front(lane, flow);
    if (!give_up_what_ended(lane, id, flow, entry, now)) continue;
    if (recipients_max != 0 && entry.recipients.size() > recipients_max) {
      Entry rest = entry;
      rest.recipients.erase(rest.recipients.begin(),
                            rest.recipients.begin() + static_cast<std::ptrdiff_t>(recipients_max));
      entry.recipients.resize(recipients_max);
      insert(lane, flow, std::move(rest));
    }
    begin_work(flow, entry.place);
    return entry;
  }
  return std::nullopt;
}

void Scheduler::put_back(const FlowKey& key, Entry entry, Time now) {
  Lane& lane = wake(key.lane);
  const FlowId id = id_of(key);
  const DueCursor place = entry.place;
  if (lane.closed(now)) {
    note_on_disk(lane, id, place);
  } else if (!keep_out(key, place)) {
    insert(lane, lane.flows[id], std::move(entry));
  }
  finished(key, place, now);
}

void Scheduler::finished(const FlowKey& key, const DueCursor& place, Time now) {
  Lane* lane = find(key.lane);
  MANSIO_ASSERT(lane != nullptr);
  const FlowId id = id_of(key);
  const auto found = lane->flows.find(id);
  MANSIO_ASSERT(found != lane->flows.end());
  Flow& flow = found->second;
  const auto busy = flow.busy.find(place);
  MANSIO_ASSERT(busy != flow.busy.end());
  if (flow.page) flow.page->finished.insert(place);
  --entries_in_flight_;
  bool look_again = false;
  if (--busy->second == 0) {
    flow.busy.erase(busy);
    look_again = !flow.look_again.empty() && flow.look_again.erase(place) > 0;
  }
  if (look_again) note_on_disk(*lane, id, place);
  if (flow.idle()) lane->flows.erase(found);
  if (look_again) load(*lane, id, now);
  review(*lane, now);
  go_on(now);
}

// ---- sessions ---------------------------------------------------------------------------------

void Scheduler::session_ended(const LaneKey& key, Time now) {
  Lane* lane = find(key);
  MANSIO_ASSERT(lane != nullptr && lane->sessions > 0 && sessions_ > 0);
  --lane->sessions;
  --sessions_;
  review(*lane, now);
  go_on(now);
}

std::optional<Time> Scheduler::first_due(const Lane& lane) {
  std::optional<Time> first;
  for (const auto& [id, flow] : lane.flows) {
    if (flow.window.empty()) continue;
    const Time due = flow.window.front().place.due;
    if (!first || due < *first) first = due;
  }
  return first;
}

bool Scheduler::wants_session(const Lane& lane, Time now) const {
  if (stopping_ || lane.window_entries == 0 || lane.closed(now)) return false;
  if (lane.sessions == 0) return true;
  if (lane.failures() > 0 || lane.sessions >= lane.options.sessions_max) return false;
  if (lane.sessions >= sessions_at_first + lane.successes) return false;
  if (lane.saturated_until > now) return false;
  if (lane.window_entries > backlog_per_session * lane.sessions) return true;
  return lane.grown_at + patience <= now && *first_due(lane) + patience <= now;
}

/// When a lane with sessions wants another since work waits too long; Time::max(): it is queued for
/// one already, and events go on from there.
Time Scheduler::impatient_at(const Lane& lane, Time now) {
  const Time impatient =
      std::max(std::max(*first_due(lane), lane.grown_at) + patience, lane.saturated_until);
  return impatient > now ? impatient : Time::max();
}

/// Ordinary lanes stop short of the reserve; a lane without any session may use it.
bool Scheduler::may_open(const Lane& lane) const {
  const std::uint32_t limit =
      options_.sessions_max + (lane.sessions == 0 ? options_.sessions_reserve : 0);
  return sessions_ < limit;
}

void Scheduler::grant_sessions(Time now) {
  std::size_t looked_at = 0;
  while (looked_at < session_queue_.size()) {
    Lane& lane = *session_queue_.front();
    if (!wants_session(lane, now)) {
      session_queue_.pop_front();
      lane.queued_for_session = false;
      review(lane, now);
      continue;
    }
    if (sessions_ >= options_.sessions_max + options_.sessions_reserve) return;
    session_queue_.pop_front();
    session_queue_.push_back(&lane);
    if (!may_open(lane)) {
      if (++looked_at >= waiting_lanes_per_look) return;
      continue;
    }
    looked_at = 0;
    ++lane.sessions;
    ++sessions_;
    lane.grown_at = now;
    actions_.push_back(OpenSession{*lane.key});
    set_wakeup(lane, now);
  }
}

}  // namespace mansio::schedule
