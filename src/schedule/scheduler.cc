#include "schedule/scheduler.h"

#include <algorithm>

#include "base/assert.h"

namespace mansio::schedule {
namespace {

/// A session that was refused beside others that work: no further one for so long.
constexpr Duration saturation = std::chrono::seconds(5);
/// A lane at work keeps a wake-up that is so much too early.
constexpr Duration slack = std::chrono::milliseconds(250);
/// Different troubles that are kept to share: behind one dead relay all lanes have the same.
constexpr std::size_t troubles_kept = 64;

}  // namespace

// ---- settings ---------------------------------------------------------------------------------

void Scheduler::set_options(SchedulerOptions options, Time now) {
  options_ = std::move(options);
  std::vector<Lane*> awake;
  for (auto& [key, lane] : lanes_) awake.push_back(&lane);
  for (Lane* lane : awake) {
    lane->options = options_of(*lane->key);
    if (lane->closed(now)) close(*lane);
    load_due(*lane, now);
    review(*lane, now);
  }
  // Those asleep ask for their options when they wake.
  sleeping_.unpark_all(now);
  go_on(now);
}

LaneOptions Scheduler::options_of(const LaneKey& key) const {
  return options_.lane_options ? options_.lane_options(key) : LaneOptions{};
}

// ---- lanes wake and fall asleep ---------------------------------------------------------------

Lane* Scheduler::find(const LaneKey& key) {
  if (recent_ != nullptr && *recent_->key == key) return recent_;
  const auto found = lanes_.find(key);
  if (found == lanes_.end()) return nullptr;
  recent_ = &found->second;
  return recent_;
}

const Lane* Scheduler::find(const LaneKey& key) const {
  return const_cast<Scheduler*>(this)->find(key);
}

Lane& Scheduler::wake(const LaneKey& key) {
  if (Lane* lane = find(key)) return *lane;
  const SleepingLanes::Slot slot = sleeping_.find(key);
  if (slot != SleepingLanes::none) return wake(sleeping_.remove(slot), options_of(key));
  return wake(SleepingLanes::Sleeper{key, {}, nullptr}, options_of(key));
}

Lane& Scheduler::wake(SleepingLanes::Sleeper sleeper, const LaneOptions& options) {
  const auto [place, fresh] = lanes_.try_emplace(std::move(sleeper.lane));
  MANSIO_ASSERT(fresh);
  Lane& lane = place->second;
  lane.key = &place->first;
  lane.options = options;
  lane.disk = std::move(sleeper.dues);
  lane.rest = std::move(sleeper.rest);
  return lane;
}

/// Looks at a lane after anything about it changed. It may be gone afterwards.
void Scheduler::review(Lane& lane, Time now) {
  if (!lane.queued_for_session && wants_session(lane, now)) {
    lane.queued_for_session = true;
    session_queue_.push_back(&lane);
  }
  if (lane.at_work() || lane.queued_for_session || lane.queued_for_room) {
    set_wakeup(lane, now);
  } else {
    fall_asleep(lane, now);
  }
}

void Scheduler::fall_asleep(Lane& lane, Time now) {
  move_wakeup(lane, Time::max());
  if (recent_ == &lane) recent_ = nullptr;
  auto node = lanes_.extract(*lane.key);
  SleepingLanes::Sleeper sleeper{std::move(node.key()), std::move(lane.disk), std::move(lane.rest)};
  const bool rests = sleeper.rest && sleeper.rest->until > now;
  if (sleeper.dues.empty() && !rests) return;  // without mail: forgotten
  Time closed_until = rests ? sleeper.rest->until : Time{};
  if (!sleeper.dues.empty() && lane.suspended(now)) {
    closed_until = std::max(closed_until, lane.options.suspended_until);
  }
  if (closed_until > now && sleeper.dues.earliest() < closed_until) {
    sleeping_.insert_parked(std::move(sleeper), closed_until);
  } else if (sleeper.dues.empty()) {
    sleeping_.insert_parked(std::move(sleeper), closed_until);
  } else {
    sleeping_.insert(std::move(sleeper));
  }
}

void Scheduler::set_wakeup(Lane& lane, Time now) {
  // It is over, and tick() has not come yet: that loads what became due.
  if (lane.wakeup <= now) return;
  Time next = lane.disk.first_after(now);
  if (lane.closed(now)) {
    if (lane.rest && lane.rest->until > now) next = std::min(next, lane.rest->until);
    if (lane.suspended(now)) next = std::min(next, lane.options.suspended_until);
  } else if (lane.window_entries > 0 && lane.failures() == 0 && lane.sessions > 0 &&
             lane.sessions < lane.options.sessions_max && !stopping_) {
    next = std::min(next, impatient_at(lane, now));
  }
  // A lane at work may look a little too early; that is cheaper than to move it with each message.
  const bool soon = lane.wakeup <= next && next - lane.wakeup < slack;
  if (lane.sessions > 0 && lane.wakeup > now && soon) return;
  move_wakeup(lane, next);
}

void Scheduler::move_wakeup(Lane& lane, Time wakeup) {
  if (wakeup == lane.wakeup) return;
  lane.wakeup = wakeup;
  if (lane.wakeup_position == Lane::unset) {
    wakeups_.push(&lane);
  } else if (wakeup == Time::max()) {
    wakeups_.remove(lane.wakeup_position);
    lane.wakeup_position = Lane::unset;
  } else {
    wakeups_.update(lane.wakeup_position);
  }
}

/// What every event ends with: who can have a session now, and who can be loaded.
void Scheduler::go_on(Time now) {
  grant_sessions(now);
  fill_windows(now);
}

// ---- work appears -----------------------------------------------------------------------------

bool Scheduler::add(const FlowKey& key, Entry entry, Time now) {
  if (keep_out(key, entry.place)) return false;
  const FlowId id = id_of(key);
  // What a page may have brought already is known on disk only.
  const bool due = entry.place.due <= now && !seen_.contains(key, entry.place, now);
  Lane* lane = find(key.lane);
  if (lane == nullptr && due && may_wake(key.lane, now)) lane = &wake(key.lane);
  if (lane == nullptr) {
    sleeping_.note(key.lane, id, entry.place.due);
    go_on(now);
    return false;
  }
  const bool takes = due && enters(*lane, id, entry.place, now);
  if (takes) {
    insert(*lane, lane->flows[id], std::move(entry));
  } else {
    note_on_disk(*lane, id, entry.place);
    load(*lane, id, now);
  }
  review(*lane, now);
  go_on(now);
  return takes;
}

void Scheduler::on_disk(const FlowKey& key, DueCursor place, Time now) {
  const FlowId id = id_of(key);
  if (Lane* lane = find(key.lane)) {
    note_on_disk(*lane, id, place);
    load(*lane, id, now);
    review(*lane, now);
  } else {
    sleeping_.note(key.lane, id, place.due);
  }
  go_on(now);
}

// ---- how the destination is -------------------------------------------------------------------

void Scheduler::lane_recovered(const LaneKey& key, Time now) {
  Lane* lane = find(key);
  if (lane == nullptr) return;
  ++lane->successes;
  if (!lane->rest) return;
  lane->rest.reset();
  load_due(*lane, now);
  review(*lane, now);
  go_on(now);
}

void Scheduler::lane_troubled(const LaneKey& key, Disposition trouble, Time until, Time now) {
  Lane& lane = wake(key);
  if (!lane.rest) lane.rest = std::make_unique<Rest>();
  Rest& rest = *lane.rest;
  if (rest.until <= now) {
    if (rest.failures == 0) rest.since = now;
    ++rest.failures;
    rest.trouble = shared_trouble(std::move(trouble));
    rest.until = until;
    if (lane.closed(now)) close(lane);
  }
  review(lane, now);
  go_on(now);
}

std::shared_ptr<const Disposition> Scheduler::shared_trouble(Disposition trouble) {
  for (const auto& known : troubles_) {
    if (*known == trouble) return known;
  }
  troubles_.push_front(std::make_shared<const Disposition>(std::move(trouble)));
  if (troubles_.size() > troubles_kept) troubles_.pop_back();
  return troubles_.front();
}

/// The lane hands nothing out: what is in its windows stays on disk.
void Scheduler::close(Lane& lane) {
  for (auto at = lane.flows.begin(); at != lane.flows.end();) {
    const FlowId id = at->first;
    Flow& flow = at->second;
    if (!flow.window.empty()) {
      const DueCursor first = flow.window.front().place;
      for (const Entry& entry : flow.window) account_out(entry);
      flow.window.clear();
      note_on_disk(lane, id, first);
    }
    at = flow.idle() ? lane.flows.erase(at) : std::next(at);
  }
  lane.window_entries = 0;
}

void Scheduler::forget_if_idle(Lane& lane, const FlowId& id) {
  const auto flow = lane.flows.find(id);
  if (flow != lane.flows.end() && flow->second.idle()) lane.flows.erase(flow);
}

void Scheduler::lane_saturated(const LaneKey& key, Time now) {
  if (Lane* lane = find(key)) lane->saturated_until = now + saturation;
}

void Scheduler::end_rest(const LaneKey& key, Time now) {
  if (Lane* lane = find(key)) {
    if (lane->rest) lane->rest->until = std::min(lane->rest->until, now);
    load_due(*lane, now);
    review(*lane, now);
  } else if (const SleepingLanes::Slot slot = sleeping_.find(key); slot != SleepingLanes::none) {
    sleeping_.end_rest(slot, now);
  }
  go_on(now);
}

// ---- the operator's changes -------------------------------------------------------------------

void Scheduler::block(const FlowKey& key, const DueCursor& place) {
  ++blocked_[{key, place.id}].times;
  Lane* lane = find(key.lane);
  if (lane == nullptr) return;
  const auto flow = lane->flows.find(id_of(key));
  if (flow == lane->flows.end()) return;
  const auto entry = flow->second.window.remove(place);
  if (!entry) return;
  --lane->window_entries;
  account_out(*entry);
  keep_out(key, place);
}

void Scheduler::unblock(const FlowKey& key, const QueueId& id, Time now) {
  const auto blocked = blocked_.find({key, id});
  if (blocked == blocked_.end() || --blocked->second.times > 0) return;
  const std::optional<DueCursor> kept_out = blocked->second.kept_out;
  blocked_.erase(blocked);
  if (Lane* lane = find(key.lane)) {
    const auto flow = lane->flows.find(id_of(key));
    if (flow != lane->flows.end() && flow->second.page) flow->second.page->changed.insert(id);
    forget_if_idle(*lane, id_of(key));
    if (!kept_out) review(*lane, now);
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

// ---- time -------------------------------------------------------------------------------------

void Scheduler::tick(Time now) {
  while (!wakeups_.empty() && wakeups_.top()->wakeup <= now) {
    Lane& lane = *wakeups_.top();
    move_wakeup(lane, Time::max());
    load_due(lane, now);
    review(lane, now);
  }
  go_on(now);
}

std::optional<Time> Scheduler::next_wakeup() const {
  Time next = wakeups_.empty() ? Time::max() : wakeups_.top()->wakeup;
  // Without room nobody is woken; what makes room goes on.
  if (may_wake_lanes()) next = std::min(next, sleeping_.first_time());
  if (next == Time::max()) return std::nullopt;
  return next;
}

// ---- answers ----------------------------------------------------------------------------------

bool Scheduler::in_flight(const FlowKey& key, const QueueId& id) const {
  const Lane* lane = find(key.lane);
  if (lane == nullptr) return false;
  const auto flow = lane->flows.find(id_of(key));
  if (flow == lane->flows.end()) return false;
  return std::ranges::any_of(flow->second.busy,
                             [&id](const auto& busy) { return busy.first.id == id; });
}

std::uint64_t Scheduler::successes(const LaneKey& key) const {
  const Lane* lane = find(key);
  return lane == nullptr ? 0 : lane->successes;
}

std::uint32_t Scheduler::failures(const LaneKey& key) const {
  if (const Lane* lane = find(key)) return lane->failures();
  const SleepingLanes::Slot slot = sleeping_.find(key);
  if (slot == SleepingLanes::none) return 0;
  const Rest* rest = sleeping_.rest(slot);
  return rest == nullptr ? 0 : rest->failures;
}

bool Scheduler::has_work(const LaneKey& key, Time now) const {
  const Lane* lane = find(key);
  return lane != nullptr && lane->window_entries > 0 && !lane->closed(now);
}

std::optional<LaneView> Scheduler::view(const LaneKey& key, Time now) const {
  const Lane* lane = find(key);
  const SleepingLanes::Slot slot = lane == nullptr ? sleeping_.find(key) : SleepingLanes::none;
  if (lane == nullptr && slot == SleepingLanes::none) return std::nullopt;
  LaneView view;
  const LaneOptions options = lane == nullptr ? options_of(key) : lane->options;
  view.sessions_max = options.sessions_max;
  if (options.suspended_until > now) view.suspended_until = options.suspended_until;
  if (const Rest* rest = lane == nullptr ? sleeping_.rest(slot) : lane->rest.get()) {
    view.failures = rest->failures;
    if (rest->until > now) view.delayed_until = rest->until;
    view.trouble_since = rest->since;
    view.trouble = *rest->trouble;
  }
  if (lane == nullptr) return view;
  view.sessions = lane->sessions;
  view.due_in_window = lane->window_entries;
  for (const auto& [id, flow] : lane->flows) view.in_flight += flow.busy.size();
  view.waits_for_budget = lane->queued_for_session && wants_session(*lane, now) && !may_open(*lane);
  return view;
}

}  // namespace mansio::schedule
