// What is due and who goes next: the lanes of one event loop. A deterministic state machine: events
// and the current time in, actions out. Pure: no clock, no sockets, no disk. Not thread safe.
//
// The idea
//   Every due entry of a lane is on disk, in the order (due, id) of its flow. A *window* of each
//   flow holds a bounded part of them in memory; a *cursor* says how far the disk was read. Three
//   things keep the two in step:
//   1. Entries at or before the cursor are in the window, are being worked on, or were finished.
//   2. New entries beyond what the window takes are only noted (`on_disk`, with the earliest due).
//      An entry that appears before the cursor pulls the cursor back.
//   3. A page shows the disk as it was when it was read. What was finished, worked on or changed by
//      an operator meanwhile is left out of it and looked at again. It is remembered for a while
//      how far pages have shown a flow: an entry up to there may still be on its way to add().
//
// Memory follows activity, not backlog
//   4. A lane is *awake* while something of it is in a window, at work or being read. Otherwise it
//      *sleeps* until its first flow is due: a key and a time (sleeping_lanes.h). A lane without
//      mail is forgotten, and so is its trouble when its rest is over.
//   5. All windows together have a budget, in octets and in entries. Up to half of it a flow may
//      fill its window; the other half is for flows that have nothing in memory, in small portions,
//      so that large backlogs never keep others out.
//   6. Lanes with due work on disk wait in turn for room: the sleeping ones asleep, the one that is
//      due longest first; the others in a line of their own; one of each by turns. New mail does
//      not overtake them into that second half.
//   7. A lane that hands nothing out - its destination rests, or an operator stopped it - keeps
//      nothing in its windows and sleeps until it opens. Lifetimes that end meanwhile are noticed
//      when a rest is over; in suspended lanes by the queue's own walk over old mail.
//
// Fair service: lanes that want a session queue up and take turns at the budget of sessions; within
// a lane classes are served in order and the flows of a class in turn.
//
// In files: scheduler.cc (what happens to lanes), loading.cc (windows and pages), sessions.cc (who
// gets a session, and its work).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "message/message.h"
#include "schedule/lane.h"
#include "schedule/seen_places.h"
#include "schedule/sleeping_lanes.h"
#include "schedule/time_heap.h"
#include "schedule/work.h"

namespace mansio::schedule {

struct SchedulerOptions {
  std::uint32_t window = 1000;              ///< entries in memory per flow
  std::size_t window_total = 100'000;       ///< of all flows
  std::size_t window_octets = 32ull << 20;  ///< of memory that they take
  std::uint32_t sessions_max = 19800;       ///< of all lanes together
  std::uint32_t sessions_reserve = 200;     ///< further ones, for lanes that have none
  std::uint32_t tries_max = 0;  ///< reached: given up without another attempt; 0: no limit
  /// The options of a lane, asked when the lane wakes; absent: the defaults.
  std::function<LaneOptions(const LaneKey&)> lane_options;
};

struct OpenSession {
  LaneKey lane;
};

struct LoadPage {
  FlowKey flow;
  std::optional<DueCursor> after;
  std::uint32_t limit = 0;
};

/// The entry's lifetime is over, or its tries are exhausted: settle it without an attempt.
struct GiveUp {
  FlowKey flow;
  Entry entry;
  Cause cause = Cause::lifetime;  ///< lifetime or tries
};

using Action = std::variant<OpenSession, LoadPage, GiveUp>;

/// What a lane is doing, for `why` and `lanes`.
struct LaneView {
  std::uint32_t sessions = 0;
  std::uint32_t sessions_max = 0;
  std::uint64_t due_in_window = 0;
  std::uint64_t in_flight = 0;  ///< entries
  std::uint32_t failures = 0;   ///< troubles in a row
  Time delayed_until{};         ///< epoch zero: not delayed
  Time suspended_until{};       ///< epoch zero: not suspended
  Time trouble_since{};
  Disposition trouble;
  bool waits_for_budget = false;  ///< wants a session, but all are in use
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerOptions options) : options_(std::move(options)) {}

  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Settings
  void set_options(SchedulerOptions options, Time now);

  // Work appears
  /// A committed entry, with its message in memory if it came straight from acceptance.
  /// False: it stays on disk, the caller may drop its message.
  bool add(const FlowKey& flow, Entry entry, Time now);
  /// Something is due at `place` on disk (start-up, deferral, an operator's change). A due time of
  /// a whole flow comes with a nil id.
  void on_disk(const FlowKey& flow, DueCursor place, Time now);
  /// Answer to LoadPage. `end`: nothing follows on disk.
  void page_loaded(const FlowKey& flow, std::vector<Entry> entries, bool end, Time now);
  void page_failed(const FlowKey& flow, Time now);

  // Sessions
  /// The next entry for a session of the lane, at most `recipients_max` of its recipients.
  std::optional<std::pair<FlowKey, Entry>> take(const LaneKey& lane, std::uint32_t recipients_max,
                                                Time now);
  /// The part of an entry given by take() goes back, as it was.
  void put_back(const FlowKey& flow, Entry entry, Time now);
  /// The outcome of the part of an entry given by take() or GiveUp is committed. Deferred
  /// recipients come again through on_disk() or add().
  void finished(const FlowKey& flow, const DueCursor& place, Time now);
  void session_ended(const LaneKey& lane, Time now);
  /// A transaction took place: the destination is well.
  void lane_recovered(const LaneKey& lane, Time now);
  /// How often lane_recovered() was called while the lane was in memory.
  std::uint64_t successes(const LaneKey& lane) const;
  /// A session found no host that can be used, and nothing of the lane has worked since it began:
  /// leave the destination alone until then. A lane that is delayed already stays as it is.
  void lane_troubled(const LaneKey& lane, Disposition trouble, Time until, Time now);
  /// A session was refused while others work: that is the destination's limit for now.
  void lane_saturated(const LaneKey& lane, Time now);
  /// An operator wants a try now: the lane's rest ends. The next trouble makes a longer one. A
  /// suspended lane stays so.
  void end_rest(const LaneKey& lane, Time now);

  // The operator's changes
  /// Takes the entry out of its window and keeps the message out of that flow's window until
  /// unblock() has been called as often. Entries in flight are not touched.
  void block(const FlowKey& flow, const DueCursor& place);
  /// What was kept out meanwhile is looked for on disk again.
  void unblock(const FlowKey& flow, const QueueId& id, Time now);
  /// True while a session works on the message in that flow.
  bool in_flight(const FlowKey& flow, const QueueId& id) const;

  // Time and answers
  void tick(Time now);
  /// When tick() is needed next; nullopt: only after another event.
  std::optional<Time> next_wakeup() const;

  std::vector<Action> take_actions() { return std::exchange(actions_, {}); }

  /// True when take() would give something now.
  bool has_work(const LaneKey& lane, Time now) const;

  /// After this no session is asked for.
  void stop() { stopping_ = true; }

  std::optional<LaneView> view(const LaneKey& lane, Time now) const;

  /// Awake: in memory, with work.
  std::size_t lanes() const { return lanes_.size(); }

  std::size_t sleeping_lanes() const { return sleeping_.size(); }

  std::size_t window_entries() const { return window_entries_; }

  /// Memory that the windows take, estimated.
  std::size_t window_octets() const { return window_octets_; }

  std::uint32_t sessions() const { return sessions_; }

  std::size_t entries_in_flight() const { return entries_in_flight_; }

  std::uint32_t failures(const LaneKey& lane) const;

 private:
  struct LaneHash {
    std::size_t operator()(const LaneKey& lane) const noexcept {
      // A destination has few bindings, and most have names of different lengths.
      return std::hash<std::string>()(lane.destination) + lane.binding.size();
    }
  };

  struct WakeupAccess {
    Time time_of(const Lane* lane) const { return lane->wakeup; }

    void set_position(Lane* lane, std::uint32_t position) const {
      lane->wakeup_position = position;
    }
  };

  struct Blocked {
    std::uint32_t times = 0;
    std::optional<DueCursor> kept_out;  ///< the first entry that would have come in
  };

  /// A message that several lanes have in their windows takes its memory once.
  struct Shared {
    std::uint32_t entries = 0;
    std::size_t octets = 0;
  };

  enum class Load : std::uint8_t { started, not_wanted, no_room };

  static FlowId id_of(const FlowKey& key) { return {key.klass, key.flow}; }

  static FlowKey key_of(const Lane& lane, const FlowId& id) {
    return {*lane.key, id.klass, id.flow};
  }

  // Lanes (scheduler.cc)
  Lane* find(const LaneKey& key);
  const Lane* find(const LaneKey& key) const;
  Lane& wake(const LaneKey& key);
  Lane& wake(SleepingLanes::Sleeper sleeper, const LaneOptions& options);
  LaneOptions options_of(const LaneKey& key) const;
  void close(Lane& lane);
  void forget_if_idle(Lane& lane, const FlowId& id);
  void review(Lane& lane, Time now);
  void fall_asleep(Lane& lane, Time now);
  void set_wakeup(Lane& lane, Time now);
  void move_wakeup(Lane& lane, Time wakeup);
  void go_on(Time now);
  bool keep_out(const FlowKey& key, const DueCursor& place);
  std::shared_ptr<const Disposition> shared_trouble(Disposition trouble);

  // Windows (loading.cc)
  static void note_on_disk(Lane& lane, const FlowId& id, const DueCursor& place);
  void insert(Lane& lane, Flow& flow, Entry entry);
  void account_in(const Entry& entry);
  void account_out(const Entry& entry);
  Entry pop_front(Lane& lane, Flow& flow);
  bool may_wake(const LaneKey& key, Time now) const;
  bool enters(Lane& lane, const FlowId& id, const DueCursor& place, Time now);

  std::size_t octets_in_use() const { return window_octets_ + page_octets_; }

  std::size_t entries_in_use() const { return window_entries_ + page_entries_; }

  bool half_full() const;
  bool full() const;
  bool lanes_wait(Time now) const;
  bool may_load() const;
  bool may_wake_lanes() const;
  std::uint32_t page_limit(std::size_t in_window) const;
  Load load(Lane& lane, const FlowId& id, Time now);
  void load_due(Lane& lane, Time now);
  static Flow* awaiting_page(Lane* lane, const FlowId& id);
  std::unique_ptr<PageUnderWay> end_page(Lane& lane, Flow& flow);
  void after_page(Lane& lane, const FlowId& id, Time now);
  void take_in(Lane& lane, const FlowKey& key, Flow& flow, std::vector<Entry> entries, bool end,
               const PageUnderWay& page, Time now);
  void fill_windows(Time now);
  void wake_first(Time now);

  // Sessions (sessions.cc)
  void begin_work(Flow& flow, const DueCursor& place);
  std::optional<Cause> ended(const Lane& lane, const Entry& entry, const RecipientWork& recipient,
                             Time now) const;
  bool give_up_what_ended(Lane& lane, const FlowId& id, Flow& flow, Entry& entry, Time now);
  std::optional<Entry> take_from(Lane& lane, const FlowId& id, Flow& flow,
                                 std::uint32_t recipients_max, Time now);
  static std::optional<Time> first_due(const Lane& lane);
  bool wants_session(const Lane& lane, Time now) const;
  static Time impatient_at(const Lane& lane, Time now);
  bool may_open(const Lane& lane) const;
  void grant_sessions(Time now);

  SchedulerOptions options_;
  std::unordered_map<LaneKey, Lane, LaneHash> lanes_;  ///< awake
  Lane* recent_ = nullptr;  ///< found last; a message's events come in a row
  SleepingLanes sleeping_;
  TimeHeap<Lane*, WakeupAccess> wakeups_{WakeupAccess{}};
  std::deque<Lane*> session_queue_;  ///< lanes that want a session, in turn; they stay awake
  std::deque<Lane*> room_queue_;     ///< lanes that want to load, in turn; they stay awake
  bool sleepers_turn_ = false;
  SeenPlaces seen_;
  std::map<std::pair<FlowKey, QueueId>, Blocked> blocked_;
  std::unordered_map<const Message*, Shared> shared_;
  std::deque<std::shared_ptr<const Disposition>> troubles_;  ///< the latest different ones
  std::vector<Action> actions_;
  std::size_t window_entries_ = 0;
  std::size_t window_octets_ = 0;
  std::size_t pages_ = 0;  ///< under way
  std::size_t page_entries_ = 0;
  std::size_t page_octets_ = 0;
  std::size_t entry_octets_ = 2048;  ///< of late, on average
  std::size_t entries_in_flight_ = 0;
  std::uint32_t sessions_ = 0;
  bool stopping_ = false;
};

}  // namespace mansio::schedule
