#include "schedule/scheduler.h"

#include <algorithm>

#include "base/assert.h"

namespace mansio::schedule {
namespace {

/// Due entries that one more session is worth: below it, the sessions there are keep up.
constexpr std::uint64_t backlog_per_session = 8;
/// A due entry that waits longer than this says that the sessions are bound by latency.
constexpr Duration patience = std::chrono::milliseconds(250);
/// A session that was refused beside others that work: no further one for so long.
constexpr Duration saturation = std::chrono::seconds(5);
/// Longer than a committed entry can be on its way from the spool to add().
constexpr Duration seen_kept = std::chrono::minutes(1);
/// Sessions that a lane may have before anything of it has worked; each success adds one.
constexpr std::uint64_t sessions_at_first = 2;
/// Waiting lanes that are looked at in one go while the budget is used up.
constexpr std::size_t waiting_lanes_per_look = 16;
/// Entries of a flow that a lane keeps in memory while it hands nothing out.
constexpr std::uint32_t while_closed = 50;

/// The place just before `place`: a cursor there makes the next page contain it again.
DueCursor just_before(const DueCursor& place) {
  DueCursor before{place.due - Duration(1), {}};
  before.id.octets.fill(0xff);
  return before;
}

bool is_ahead(Time until, Time now) { return until > now; }

}  // namespace

// ---- settings ---------------------------------------------------------------------------------

void Scheduler::set_options(SchedulerOptions options, Time now) {
  options_ = std::move(options);
  std::vector<LaneKey> keys;
  for (auto& [key, lane] : lanes_) {
    lane.options = options_.lane_options ? options_.lane_options(key) : LaneOptions{};
    keys.push_back(key);
  }
  for (const LaneKey& key : keys) review(key, now);
  grant_sessions(now);
}

// ---- lanes and flows --------------------------------------------------------------------------

Scheduler::Lane& Scheduler::lane_of(const LaneKey& key) {
  const auto [place, fresh] = lanes_.try_emplace(key);
  if (fresh && options_.lane_options) place->second.options = options_.lane_options(key);
  return place->second;
}

Scheduler::Flow& Scheduler::flow_of(const FlowKey& key) {
  return lane_of(key.lane).flows[{key.klass, key.flow}];
}

void Scheduler::insert(Flow& flow, Entry entry) {
  const auto [place, fresh] = flow.window.try_emplace(entry.place, std::move(entry));
  if (fresh) {
    ++window_entries_;
    return;
  }
  // Another part of an entry that was split over transactions, or the same once more.
  auto& recipients = place->second.recipients;
  recipients.insert(recipients.end(), entry.recipients.begin(), entry.recipients.end());
  std::ranges::sort(recipients, {}, &RecipientWork::index);
  const auto twice = std::ranges::unique(recipients, {}, &RecipientWork::index);
  recipients.erase(twice.begin(), twice.end());
}

void Scheduler::remove_from_window(Flow& flow, std::map<DueCursor, Entry>::iterator entry) {
  flow.window.erase(entry);
  --window_entries_;
}

void Scheduler::note_on_disk(Flow& flow, const DueCursor& place) {
  if (flow.loading && (!flow.noted_meanwhile || place < *flow.noted_meanwhile)) {
    flow.noted_meanwhile = place;
  }
  if (flow.cursor && place <= *flow.cursor) flow.cursor = just_before(place);
  if (!flow.disk_earliest || place.due < *flow.disk_earliest) flow.disk_earliest = place.due;
}

void Scheduler::begin_work(Flow& flow, const DueCursor& place) {
  ++flow.busy[place];
  ++entries_in_flight_;
}

// ---- work appears -----------------------------------------------------------------------------

bool Scheduler::add(const FlowKey& key, Entry entry, Time now) {
  if (keep_out(key, entry.place)) return false;
  Flow& flow = flow_of(key);
  // A page may have brought it already: the disk knows.
  const bool seen = flow.seen && entry.place <= *flow.seen;
  const bool suspended = is_ahead(lane_of(key.lane).options.suspended_until, now);
  bool takes = !seen && entry.place.due <= now &&
               (!suspended || flow.window.size() < while_closed) &&
               (flow.window.empty() || window_entries_ < options_.window_total);
  if (takes && flow.window.size() >= options_.window) {
    // What is due earlier goes first; the last one is found on disk again.
    const auto last = std::prev(flow.window.end());
    takes = entry.place < last->first;
    if (takes) {
      const DueCursor evicted = last->first;
      remove_from_window(flow, last);
      note_on_disk(flow, evicted);
    }
  }
  if (takes) {
    insert(flow, std::move(entry));
  } else {
    note_on_disk(flow, entry.place);
  }
  review(key.lane, now);
  grant_sessions(now);
  return takes;
}

void Scheduler::on_disk(const FlowKey& key, DueCursor place, Time now) {
  note_on_disk(flow_of(key), place);
  review(key.lane, now);
  grant_sessions(now);
}

void Scheduler::page_loaded(const FlowKey& key, std::vector<Entry> entries, bool end, Time now) {
  Flow& flow = flow_of(key);
  flow.loading = false;
  flow.disk_earliest.reset();
  flow.seen_keep = now + seen_kept;
  std::vector<DueCursor> again;
  bool trimmed = false;
  for (Entry& entry : entries) {
    if (entry.place.due > now) {
      flow.disk_earliest = entry.place.due;
      trimmed = true;
      break;
    }
    flow.cursor = entry.place;
    if (!flow.seen || *flow.seen < entry.place) flow.seen = entry.place;
    if (flow.busy.contains(entry.place)) {
      flow.look_again.insert(entry.place);
    } else if (flow.finished_meanwhile.contains(entry.place) ||
               flow.changed_meanwhile.contains(entry.place.id)) {
      again.push_back(entry.place);
    } else if (!keep_out(key, entry.place)) {
      insert(flow, std::move(entry));
    }
  }
  if (!end && !trimmed) flow.disk_earliest = flow.cursor ? flow.cursor->due : now;
  flow.finished_meanwhile.clear();
  flow.changed_meanwhile.clear();
  if (const auto noted = std::exchange(flow.noted_meanwhile, std::nullopt)) again.push_back(*noted);
  for (const DueCursor& place : again) note_on_disk(flow, place);
  review(key.lane, now);
  grant_sessions(now);
}

void Scheduler::page_failed(const FlowKey& key, Time now) {
  Flow& flow = flow_of(key);
  flow.loading = false;
  flow.finished_meanwhile.clear();
  flow.changed_meanwhile.clear();
  flow.noted_meanwhile.reset();
  // Looked at again after a while; nothing is forgotten.
  flow.disk_earliest = now + std::chrono::seconds(5);
  review(key.lane, now);
}

// ---- sessions ---------------------------------------------------------------------------------

/// Nothing of the lane is handed out: its destination rests, or an operator stopped it.
bool Scheduler::is_closed(const Lane& lane, Time now) {
  return is_ahead(lane.delayed_until, now) || is_ahead(lane.options.suspended_until, now);
}

std::optional<Cause> Scheduler::ended(const Lane& lane, const Entry& entry,
                                      const RecipientWork& recipient, Time now) const {
  if (options_.tries_max != 0 && recipient.tries >= options_.tries_max) return Cause::tries;
  // A recipient that nobody ever tried gets one chance, unless its destination is known to be down:
  // a clock that jumped must not end mail unseen.
  // And where an operator stopped the lane, no chance is to be had.
  const bool stopped = lane.failures > 0 || is_ahead(lane.options.suspended_until, now);
  if (entry.expires_at <= now && (recipient.tries > 0 || stopped)) return Cause::lifetime;
  return std::nullopt;
}

/// Moves ended recipients of the entry to GiveUp actions; false when none is left to work on.
bool Scheduler::give_up_what_ended(const FlowKey& key, const Lane& lane, Flow& flow, Entry& entry,
                                   Time now) {
  for (const Cause cause : {Cause::tries, Cause::lifetime}) {
    Entry over{entry.place, entry.expires_at, {}, entry.message};
    std::erase_if(entry.recipients, [&](const RecipientWork& recipient) {
      if (ended(lane, entry, recipient, now) != cause) return false;
      over.recipients.push_back(recipient);
      return true;
    });
    if (over.recipients.empty()) continue;
    begin_work(flow, over.place);
    actions_.push_back(GiveUp{key, std::move(over), cause});
  }
  return !entry.recipients.empty();
}

std::optional<std::pair<FlowKey, Entry>> Scheduler::take(const LaneKey& key,
                                                         std::uint32_t recipients_max, Time now) {
  const auto found = lanes_.find(key);
  if (found == lanes_.end()) return std::nullopt;
  Lane& lane = found->second;
  if (is_closed(lane, now)) return std::nullopt;

  // Classes in order; within a class the flow after the one that was served last.
  for (auto begin = lane.flows.begin(); begin != lane.flows.end();) {
    const PriorityClass klass = begin->first.first;
    const auto class_end = lane.flows.upper_bound({klass, ~std::uint32_t{0}});
    auto start = lane.flows.upper_bound({klass, lane.turn[klass]});
    if (start == class_end) start = begin;
    auto flow_at = start;
    do {
      Flow& flow = flow_at->second;
      const FlowKey flow_key{key, klass, flow_at->first.second};
      while (!flow.window.empty() && flow.window.begin()->first.due <= now) {
        const auto head = flow.window.begin();
        Entry entry = std::move(head->second);
        remove_from_window(flow, head);
        if (!give_up_what_ended(flow_key, lane, flow, entry, now)) continue;
        if (recipients_max != 0 && entry.recipients.size() > recipients_max) {
          Entry rest = entry;
          rest.recipients.erase(
              rest.recipients.begin(),
              rest.recipients.begin() + static_cast<std::ptrdiff_t>(recipients_max));
          entry.recipients.resize(recipients_max);
          insert(flow, std::move(rest));
        }
        begin_work(flow, entry.place);
        lane.turn[klass] = flow_key.flow;
        load_what_is_due(key, lane, now);
        return std::pair{flow_key, std::move(entry)};
      }
      if (++flow_at == class_end) flow_at = begin;
    } while (flow_at != start);
    begin = class_end;
  }
  load_what_is_due(key, lane, now);
  return std::nullopt;
}

void Scheduler::put_back(const FlowKey& key, Entry entry, Time now) {
  Flow& flow = flow_of(key);
  const DueCursor place = entry.place;
  if (!keep_out(key, place)) insert(flow, std::move(entry));
  finished(key, place, now);
}

void Scheduler::finished(const FlowKey& key, const DueCursor& place, Time now) {
  Flow& flow = flow_of(key);
  const auto busy = flow.busy.find(place);
  MANSIO_ASSERT(busy != flow.busy.end());
  if (--busy->second == 0) {
    flow.busy.erase(busy);
    if (flow.look_again.erase(place) > 0) note_on_disk(flow, place);
  }
  if (flow.loading) flow.finished_meanwhile.insert(place);
  --entries_in_flight_;
  review(key.lane, now);
}

void Scheduler::session_ended(const LaneKey& key, Time now) {
  Lane& lane = lane_of(key);
  MANSIO_ASSERT(lane.sessions > 0 && sessions_ > 0);
  --lane.sessions;
  --sessions_;
  review(key, now);
  grant_sessions(now);
}

void Scheduler::lane_recovered(const LaneKey& key, Time now) {
  Lane& lane = lane_of(key);
  ++lane.successes;
  if (lane.failures == 0) return;
  lane.failures = 0;
  lane.delayed_until = {};
  lane.trouble = {};
  review(key, now);
  grant_sessions(now);
}

void Scheduler::lane_troubled(const LaneKey& key, Disposition trouble, Time until, Time now) {
  Lane& lane = lane_of(key);
  if (is_ahead(lane.delayed_until, now)) return;
  if (lane.failures == 0) lane.trouble_since = now;
  ++lane.failures;
  lane.trouble = std::move(trouble);
  lane.delayed_until = std::max(lane.delayed_until, until);
  review(key, now);
}

void Scheduler::lane_saturated(const LaneKey& key, Time now) {
  lane_of(key).saturated_until = now + saturation;
}

void Scheduler::end_rest(const LaneKey& key, Time now) {
  const auto found = lanes_.find(key);
  if (found == lanes_.end()) return;
  found->second.delayed_until = {};
  review(key, now);
  grant_sessions(now);
}

std::uint64_t Scheduler::successes(const LaneKey& key) const {
  const auto found = lanes_.find(key);
  return found == lanes_.end() ? 0 : found->second.successes;
}

std::uint32_t Scheduler::failures(const LaneKey& key) const {
  const auto found = lanes_.find(key);
  return found == lanes_.end() ? 0 : found->second.failures;
}

// ---- the operator's changes -------------------------------------------------------------------

void Scheduler::block(const FlowKey& key, const DueCursor& place) {
  ++blocked_[{key, place.id}].times;
  const auto lane = lanes_.find(key.lane);
  if (lane == lanes_.end()) return;
  const auto flow = lane->second.flows.find({key.klass, key.flow});
  if (flow == lane->second.flows.end()) return;
  const auto entry = flow->second.window.find(place);
  if (entry == flow->second.window.end()) return;
  remove_from_window(flow->second, entry);
  keep_out(key, place);
}

void Scheduler::unblock(const FlowKey& key, const QueueId& id, Time now) {
  const auto blocked = blocked_.find({key, id});
  if (blocked == blocked_.end() || --blocked->second.times > 0) return;
  const std::optional<DueCursor> kept_out = blocked->second.kept_out;
  blocked_.erase(blocked);
  if (const auto lane = lanes_.find(key.lane); lane != lanes_.end()) {
    const auto flow = lane->second.flows.find({key.klass, key.flow});
    if (flow != lane->second.flows.end() && flow->second.loading) {
      flow->second.changed_meanwhile.insert(id);
    }
  }
  if (kept_out) on_disk(key, *kept_out, now);
}

/// True if the entry must not enter its window now; unblock() looks for it again.
bool Scheduler::keep_out(const FlowKey& key, const DueCursor& place) {
  if (blocked_.empty()) return false;
  const auto blocked = blocked_.find({key, place.id});
  if (blocked == blocked_.end()) return false;
  auto& first = blocked->second.kept_out;
  if (!first || place < *first) first = place;
  return true;
}

bool Scheduler::in_flight(const FlowKey& key, const QueueId& id) const {
  const auto lane = lanes_.find(key.lane);
  if (lane == lanes_.end()) return false;
  const auto flow = lane->second.flows.find({key.klass, key.flow});
  if (flow == lane->second.flows.end()) return false;
  return std::ranges::any_of(flow->second.busy,
                             [&id](const auto& busy) { return busy.first.id == id; });
}

// ---- time -------------------------------------------------------------------------------------

void Scheduler::tick(Time now) {
  while (!wakeups_.empty() && wakeups_.begin()->first <= now) {
    const LaneKey key = wakeups_.begin()->second;
    const auto found = lanes_.find(key);
    MANSIO_ASSERT(found != lanes_.end());
    wakeups_.erase(wakeups_.begin());
    found->second.wakeup.reset();
    const bool suspended = is_ahead(found->second.options.suspended_until, now);
    if (found->second.failures > 0 || suspended) sweep_closed(key, found->second, now);
    review(key, now);
  }
  grant_sessions(now);
}

std::optional<Time> Scheduler::next_wakeup() const {
  if (wakeups_.empty()) return std::nullopt;
  return wakeups_.begin()->first;
}

/// A lane in trouble or suspended hands out no work, so nothing else would notice that lifetimes
/// end there.
void Scheduler::sweep_closed(const LaneKey& key, Lane& lane, Time now) {
  for (auto& [flow_key, flow] : lane.flows) {
    for (auto at = flow.window.begin(); at != flow.window.end() && at->first.due <= now;) {
      const auto here = at++;
      if (!give_up_what_ended({key, flow_key.first, flow_key.second}, lane, flow, here->second,
                              now)) {
        remove_from_window(flow, here);
      }
    }
  }
}

/// How many entries the flow may load. A lane that hands nothing out needs to see only its next
/// ones.
std::uint32_t Scheduler::room_for(const Lane& lane, const Flow& flow, Time now) const {
  if (is_closed(lane, now)) return flow.window.empty() ? while_closed : 0;
  if (window_entries_ >= options_.window_total) return flow.window.empty() ? 1 : 0;
  if (flow.window.size() > options_.window / 2) return 0;
  return static_cast<std::uint32_t>(options_.window - flow.window.size());
}

void Scheduler::load_what_is_due(const LaneKey& key, Lane& lane, Time now) {
  for (auto& [flow_key, flow] : lane.flows) {
    if (flow.loading || !flow.disk_earliest || *flow.disk_earliest > now) continue;
    const std::uint32_t room = room_for(lane, flow, now);
    if (room == 0) continue;
    flow.loading = true;
    actions_.push_back(LoadPage{{key, flow_key.first, flow_key.second}, flow.cursor, room});
  }
}

std::optional<Time> Scheduler::first_due(const Lane& lane) {
  std::optional<Time> first;
  for (const auto& [key, flow] : lane.flows) {
    if (flow.window.empty()) continue;
    const Time due = flow.window.begin()->first.due;
    if (!first || due < *first) first = due;
  }
  return first;
}

/// When the first lifetime of what is in memory ends, once it is due.
std::optional<Time> Scheduler::first_end_of_life(const Lane& lane) {
  std::optional<Time> first;
  for (const auto& [key, flow] : lane.flows) {
    for (const auto& [place, entry] : flow.window) {
      const Time end = std::max(entry.expires_at, place.due);
      if (!first || end < *first) first = end;
    }
  }
  return first;
}

/// Counts due entries in memory, but not further than `enough`.
std::uint64_t Scheduler::due_count(const Lane& lane, Time now, std::uint64_t enough) {
  std::uint64_t count = 0;
  for (const auto& [key, flow] : lane.flows) {
    for (const auto& [place, entry] : flow.window) {
      if (place.due > now || count >= enough) break;
      ++count;
    }
  }
  return count;
}

bool Scheduler::has_work(const LaneKey& key, Time now) const {
  const auto found = lanes_.find(key);
  if (found == lanes_.end() || is_closed(found->second, now)) return false;
  const auto first = first_due(found->second);
  return first && *first <= now;
}

bool Scheduler::wants_session(const Lane& lane, Time now) const {
  if (stopping_ || is_closed(lane, now)) return false;
  const auto first = first_due(lane);
  if (!first || *first > now) return false;
  if (lane.sessions == 0) return true;
  if (lane.failures > 0 || lane.sessions >= lane.options.sessions_max) return false;
  if (lane.sessions >= sessions_at_first + lane.successes) return false;
  if (lane.saturated_until > now) return false;
  const std::uint64_t enough = backlog_per_session * lane.sessions + 1;
  if (due_count(lane, now, enough) >= enough) return true;
  return *first + patience <= now && lane.grown_at + patience <= now;
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
    const LaneKey key = session_queue_.front();
    const auto found = lanes_.find(key);
    if (found == lanes_.end() || !wants_session(found->second, now)) {
      session_queue_.pop_front();
      if (found != lanes_.end()) found->second.queued_for_session = false;
      continue;
    }
    session_queue_.pop_front();
    session_queue_.push_back(key);
    Lane& lane = found->second;
    if (!may_open(lane)) {
      if (sessions_ >= options_.sessions_max + options_.sessions_reserve) return;
      if (++looked_at >= waiting_lanes_per_look) return;
      continue;
    }
    looked_at = 0;
    ++lane.sessions;
    ++sessions_;
    lane.grown_at = now;
    actions_.push_back(OpenSession{key});
    set_wakeup(key, lane, now);
  }
}

void Scheduler::set_wakeup(const LaneKey& key, Lane& lane, Time now) {
  std::optional<Time> next;
  const auto consider = [&next](Time time) {
    if (!next || time < *next) next = time;
  };
  for (const auto& [flow_key, flow] : lane.flows) {
    if (!flow.window.empty() && flow.window.begin()->first.due > now) {
      consider(flow.window.begin()->first.due);
    }
    if (flow.loading) continue;
    if (flow.disk_earliest && *flow.disk_earliest > now) consider(*flow.disk_earliest);
    if (flow.seen && flow.seen_keep > now && !flow.disk_earliest) consider(flow.seen_keep);
  }
  if (is_closed(lane, now)) {
    for (const Time until : {lane.delayed_until, lane.options.suspended_until}) {
      if (is_ahead(until, now) && until != Time::max()) consider(until);
    }
    if (is_ahead(lane.options.suspended_until, now)) {
      if (const auto end = first_end_of_life(lane)) consider(*end);
    }
  } else if (const auto first = first_due(lane);
             first && *first <= now && lane.failures == 0 && lane.sessions > 0 &&
             lane.sessions < lane.options.sessions_max && !stopping_) {
    // Already over: the lane is queued for a session, and events go on from there.
    const Time impatient =
        std::max(std::max(*first, lane.grown_at) + patience, lane.saturated_until);
    if (impatient > now) consider(impatient);
  }
  if (next == lane.wakeup) return;
  if (lane.wakeup) wakeups_.erase({*lane.wakeup, key});
  lane.wakeup = next;
  if (next) wakeups_.insert({*next, key});
}

/// Looks at one lane after anything about it changed.
void Scheduler::review(const LaneKey& key, Time now) {
  const auto found = lanes_.find(key);
  if (found == lanes_.end()) return;
  Lane& lane = found->second;
  load_what_is_due(key, lane, now);
  std::erase_if(lane.flows, [now](const auto& flow) { return flow.second.idle(now); });
  if (!lane.queued_for_session && wants_session(lane, now)) {
    lane.queued_for_session = true;
    session_queue_.push_back(key);
  }
  set_wakeup(key, lane, now);
  const bool over = lane.flows.empty() && lane.sessions == 0 && !lane.queued_for_session &&
                    !is_ahead(lane.delayed_until, now);
  if (!over) return;
  if (lane.wakeup) wakeups_.erase({*lane.wakeup, key});
  lanes_.erase(found);
}

std::optional<LaneView> Scheduler::view(const LaneKey& key, Time now) const {
  const auto found = lanes_.find(key);
  if (found == lanes_.end()) return std::nullopt;
  const Lane& lane = found->second;
  LaneView view;
  view.sessions = lane.sessions;
  view.sessions_max = lane.options.sessions_max;
  view.due_in_window = due_count(lane, now, ~std::uint64_t{0});
  for (const auto& [flow_key, flow] : lane.flows) view.in_flight += flow.busy.size();
  view.failures = lane.failures;
  view.delayed_until = is_ahead(lane.delayed_until, now) ? lane.delayed_until : Time{};
  const Time suspended = lane.options.suspended_until;
  view.suspended_until = is_ahead(suspended, now) ? suspended : Time{};
  view.trouble_since = lane.failures > 0 ? lane.trouble_since : Time{};
  view.trouble = lane.trouble;
  view.waits_for_budget = lane.queued_for_session && wants_session(lane, now) && !may_open(lane);
  return view;
}

}  // namespace mansio::schedule
