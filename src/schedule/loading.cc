// What of the due mail on disk is in memory: windows, pages, and whose turn it is to be read.
#include <algorithm>

#include "base/assert.h"
#include "schedule/scheduler.h"

namespace mansio::schedule {
namespace {

/// Entries that one page may bring: a message may be large.
constexpr std::size_t page_max = 250;
/// Pages under way: enough to keep the readers of the spool busy. More would only make a line
/// there.
constexpr std::size_t pages_max = 64;
/// Of one lane.
constexpr std::uint32_t pages_per_lane = 4;
/// While memory is short, a flow gets this part of what is left, and its window takes so many.
constexpr std::size_t portion = 256;
constexpr std::size_t portion_entries = 8;
/// Lanes that may be awake beyond the sessions there are.
constexpr std::size_t lanes_without_session = 1000;
/// Lanes that are woken in one go.
constexpr int lanes_per_look = 500;
/// What an entry takes beside its message.
constexpr std::size_t entry_base = sizeof(Entry) + 48;

/// The place just before `place`: a cursor there makes the next page contain it again.
DueCursor just_before(const DueCursor& place) {
  DueCursor before{place.due - Duration(1), {}};
  before.id.octets.fill(0xff);
  return before;
}

std::size_t own_octets(const Entry& entry) {
  return entry_base + entry.recipients.size() * sizeof(RecipientWork);
}

bool is_shared(const Entry& entry) { return entry.message && entry.message->lanes.size() > 1; }

}  // namespace

// ---- windows ----------------------------------------------------------------------------------

void Scheduler::account_in(const Entry& entry) {
  ++window_entries_;
  window_octets_ += own_octets(entry);
  if (!is_shared(entry)) {
    window_octets_ += entry.octets;
    return;
  }
  Shared& shared = shared_[entry.message.get()];
  if (++shared.entries > 1) return;
  shared.octets = entry.octets;
  window_octets_ += shared.octets;
}

void Scheduler::account_out(const Entry& entry) {
  --window_entries_;
  window_octets_ -= own_octets(entry);
  if (!is_shared(entry)) {
    window_octets_ -= entry.octets;
    return;
  }
  const auto shared = shared_.find(entry.message.get());
  if (--shared->second.entries > 0) return;
  window_octets_ -= shared->second.octets;
  shared_.erase(shared);
}

void Scheduler::insert(Lane& lane, Flow& flow, Entry entry) {
  const auto [in_window, fresh] = flow.window.insert(std::move(entry));
  if (fresh) {
    ++lane.window_entries;
    account_in(*in_window);
    return;
  }
  // Another part of an entry that was split over transactions, or the same once more.
  account_out(*in_window);
  auto& recipients = in_window->recipients;
  recipients.insert(recipients.end(), entry.recipients.begin(), entry.recipients.end());
  std::ranges::sort(recipients, {}, &RecipientWork::index);
  const auto twice = std::ranges::unique(recipients, {}, &RecipientWork::index);
  recipients.erase(twice.begin(), twice.end());
  account_in(*in_window);
}

Entry Scheduler::pop_front(Lane& lane, Flow& flow) {
  account_out(flow.window.front());
  --lane.window_entries;
  return flow.window.pop_front();
}

/// Whether a lane that sleeps, or is new, may wake for an entry in memory.
bool Scheduler::may_wake(const LaneKey& key, Time now) const {
  if (full() || (half_full() && lanes_wait(now))) return false;
  const SleepingLanes::Slot slot = sleeping_.find(key);
  if (slot == SleepingLanes::none) return true;
  const Rest* rest = sleeping_.rest(slot);
  return rest == nullptr || rest->until <= now;
}

/// Whether a due entry in memory enters its window; makes a place for it.
bool Scheduler::enters(Lane& lane, const FlowId& id, const DueCursor& place, Time now) {
  if (lane.closed(now) || full()) return false;
  const auto found = lane.flows.find(id);
  if (found == lane.flows.end() || found->second.window.empty()) {
    return !half_full() || !lanes_wait(now);
  }
  Flow& flow = found->second;
  const std::size_t size = flow.window.size();
  if (half_full() && (size >= portion_entries || lanes_wait(now))) return false;
  // With older mail on disk, half of the window is for that.
  const auto on_disk = lane.disk.find(id);
  if (on_disk && *on_disk <= place.due && size > options_.window / 2) return false;
  if (size < options_.window) return true;
  // What is due earlier goes first; the last one is found on disk again.
  if (flow.window.back().place < place) return false;
  const Entry evicted = flow.window.pop_back();
  --lane.window_entries;
  account_out(evicted);
  note_on_disk(lane, id, evicted.place);
  return true;
}

void Scheduler::note_on_disk(Lane& lane, const FlowId& id, const DueCursor& place) {
  if (const auto found = lane.flows.find(id); found != lane.flows.end()) {
    Flow& flow = found->second;
    if (flow.page) {
      auto& noted = flow.page->noted;
      if (!noted || place < *noted) noted = place;
      return;
    }
    if (flow.cursor && place <= *flow.cursor) flow.cursor = just_before(place);
  }
  lane.disk.lower(id, place.due);
}

// ---- room -------------------------------------------------------------------------------------

bool Scheduler::half_full() const {
  return octets_in_use() >= options_.window_octets / 2 ||
         2 * entries_in_use() >= options_.window_total;
}

bool Scheduler::full() const {
  return octets_in_use() >= options_.window_octets || entries_in_use() >= options_.window_total;
}

/// Lanes with due work on disk wait for room.
bool Scheduler::lanes_wait(Time now) const {
  return !room_queue_.empty() || sleeping_.first_time() <= now;
}

bool Scheduler::may_load() const { return pages_ < pages_max && !full(); }

bool Scheduler::may_wake_lanes() const {
  return may_load() && lanes_.size() < sessions_ + lanes_without_session;
}

/// Entries that a flow may load which has so many; 0: it has to wait.
std::uint32_t Scheduler::page_limit(std::size_t in_window) const {
  if (!may_load() || in_window > options_.window / 2) return 0;
  std::size_t limit = std::min<std::size_t>(options_.window - in_window, page_max);
  const auto left = [this](std::size_t octets, std::size_t entries) {
    return std::min((octets - std::min(octets, octets_in_use())) / entry_octets_,
                    entries - std::min(entries, entries_in_use()));
  };
  if (!half_full()) {
    limit = std::min(limit, left(options_.window_octets / 2, options_.window_total / 2));
  } else if (in_window == 0) {
    limit = std::min(limit, left(options_.window_octets, options_.window_total) / portion);
  } else {
    return 0;
  }
  return static_cast<std::uint32_t>(std::max<std::size_t>(limit, 1));
}

// ---- pages ------------------------------------------------------------------------------------

/// Reads more of a flow, if something is due there and its window has room.
Scheduler::Load Scheduler::load(Lane& lane, const FlowId& id, Time now) {
  const auto due = lane.disk.find(id);
  if (!due || *due > now || lane.closed(now)) return Load::not_wanted;
  const auto found = lane.flows.find(id);
  Flow* flow = found == lane.flows.end() ? nullptr : &found->second;
  const std::size_t in_window = flow == nullptr ? 0 : flow->window.size();
  if (in_window > options_.window / 2 || lane.pages >= pages_per_lane) return Load::not_wanted;
  const std::uint32_t limit = page_limit(in_window);
  if (limit == 0) {
    if (in_window > 0) return Load::not_wanted;  // when it has none it asks again
    if (!lane.queued_for_room && (lane.at_work() || lane.queued_for_session)) {
      lane.queued_for_room = true;
      room_queue_.push_back(&lane);
    }
    return Load::no_room;
  }
  if (flow == nullptr) flow = &lane.flows[id];
  MANSIO_ASSERT(!flow->page);
  flow->page = std::make_unique<PageUnderWay>();
  flow->page->limit = limit;
  flow->page->octets = limit * entry_octets_;
  ++lane.pages;
  ++pages_;
  page_entries_ += limit;
  page_octets_ += flow->page->octets;
  lane.disk.remove(id);
  actions_.push_back(LoadPage{key_of(lane, id), flow->cursor, limit});
  return Load::started;
}

/// In the order of service.
void Scheduler::load_due(Lane& lane, Time now) {
  if (lane.disk.earliest() > now || lane.closed(now)) return;
  for (std::size_t at = 0; at < lane.disk.size();) {
    const FlowId id = lane.disk.items()[at].flow;  // a copy: loading changes the items
    const Load load_of_it = load(lane, id, now);
    if (load_of_it == Load::no_room) return;
    if (load_of_it == Load::not_wanted) ++at;
  }
}

std::unique_ptr<PageUnderWay> Scheduler::end_page(Lane& lane, Flow& flow) {
  auto page = std::move(flow.page);
  --lane.pages;
  --pages_;
  page_entries_ -= page->limit;
  page_octets_ -= page->octets;
  return page;
}

/// Null: nobody waits for a page of it any more.
Flow* Scheduler::awaiting_page(Lane* lane, const FlowId& id) {
  if (lane == nullptr) return nullptr;
  const auto flow = lane->flows.find(id);
  return flow != lane->flows.end() && flow->second.page ? &flow->second : nullptr;
}

void Scheduler::page_loaded(const FlowKey& key, std::vector<Entry> entries, bool end, Time now) {
  Lane* lane = find(key.lane);
  Flow* flow = awaiting_page(lane, id_of(key));
  if (flow == nullptr) return;
  const auto page = end_page(*lane, *flow);
  take_in(*lane, key, *flow, std::move(entries), end, *page, now);
  after_page(*lane, id_of(key), now);
}

void Scheduler::after_page(Lane& lane, const FlowId& id, Time now) {
  forget_if_idle(lane, id);
  load_due(lane, now);
  review(lane, now);
  go_on(now);
}

void Scheduler::take_in(Lane& lane, const FlowKey& key, Flow& flow, std::vector<Entry> entries,
                        bool end, const PageUnderWay& page, Time now) {
  const FlowId id = id_of(key);
  const bool closed = lane.closed(now);
  std::vector<DueCursor> again;
  if (page.noted) again.push_back(*page.noted);
  std::optional<DueCursor> shown;
  std::optional<Time> next_on_disk;
  std::size_t taken = 0, taken_octets = 0;
  for (Entry& entry : entries) {
    // What is not due yet, or finds no room, stays on disk. Into empty windows anything goes.
    if (entry.place.due > now || (window_entries_ > 0 && full())) {
      next_on_disk = entry.place.due;
      break;
    }
    flow.cursor = shown = entry.place;
    if (flow.busy.contains(entry.place)) {
      flow.look_again.insert(entry.place);
    } else if (closed || page.finished.contains(entry.place) ||
               page.changed.contains(entry.place.id)) {
      again.push_back(entry.place);
    } else if (keep_out(key, entry.place)) {
      continue;
    } else if (lane.failures() == 0 || give_up_what_ended(lane, id, flow, entry, now)) {
      ++taken;
      taken_octets += own_octets(entry) + entry.octets;
      insert(lane, flow, std::move(entry));
    }
  }
  if (taken > 0) {
    entry_octets_ = std::max<std::size_t>(1, (3 * entry_octets_ + taken_octets / taken) / 4);
  }
  if (shown) seen_.note(key, *shown, now);
  if (!end && !next_on_disk) next_on_disk = flow.cursor ? flow.cursor->due : now;
  if (next_on_disk) lane.disk.lower(id, *next_on_disk);
  for (const DueCursor& place : again) note_on_disk(lane, id, place);
}

void Scheduler::page_failed(const FlowKey& key, Time now) {
  Lane* lane = find(key.lane);
  Flow* flow = awaiting_page(lane, id_of(key));
  if (flow == nullptr) return;
  const auto page = end_page(*lane, *flow);
  if (page->noted && flow->cursor && *page->noted <= *flow->cursor) {
    flow->cursor = just_before(*page->noted);
  }
  // Looked at again after a while; nothing is forgotten.
  lane->disk.lower(id_of(key), now + std::chrono::seconds(5));
  after_page(*lane, id_of(key), now);
}

// ---- whose turn it is -------------------------------------------------------------------------

/// While there is room: lanes that are at work and want to load, and lanes that are woken by what
/// is due, one of each by turns.
void Scheduler::fill_windows(Time now) {
  for (int looks = 0; looks < lanes_per_look; ++looks) {
    const bool sleeper = sleeping_.first_time() <= now && may_wake_lanes();
    if (!may_load() || (!sleeper && room_queue_.empty())) return;
    if (sleeper && (sleepers_turn_ || room_queue_.empty())) {
      sleepers_turn_ = false;
      wake_first(now);
      continue;
    }
    sleepers_turn_ = true;
    Lane& lane = *room_queue_.front();
    room_queue_.pop_front();
    lane.queued_for_room = false;
    load_due(lane, now);
    review(lane, now);
  }
}

void Scheduler::wake_first(Time now) {
  const SleepingLanes::Slot slot = sleeping_.first();
  const Rest* rest = sleeping_.rest(slot);
  if (!sleeping_.has_flows(slot)) {
    // It was here for its rest only.
    sleeping_.remove(slot);
    return;
  }
  if (rest != nullptr && rest->until > now) {
    sleeping_.park(slot, rest->until);
    return;
  }
  const LaneOptions options = options_of(sleeping_.lane(slot));
  if (options.suspended_until > now) {
    sleeping_.park(slot, options.suspended_until);
    return;
  }
  Lane& lane = wake(sleeping_.remove(slot), options);
  load_due(lane, now);
  review(lane, now);
}

}  // namespace mansio::schedule
