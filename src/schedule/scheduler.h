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
//      an operator meanwhile is left out of it and looked at again. A flow remembers for a while
//      how far pages have shown it: an entry up to there may still be on its way to add().
//   So memory follows activity: a lane with nothing due costs its key and one wake-up time.
//
// Fair service: lanes that want a session queue up and take turns at the budget of sessions; within
// a lane classes are served in order and the flows of a class in turn.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "message/message.h"

namespace mansio::schedule {

struct RecipientWork {
  std::uint32_t index = 0;  ///< in the envelope
  std::uint32_t tries = 0;
  std::uint32_t retry_count = 0;
  friend bool operator==(const RecipientWork&, const RecipientWork&) = default;
};

/// Recipients of one message that are due together in one flow.
struct Entry {
  DueCursor place;  ///< due and id: its key in the flow
  Time expires_at{};
  std::vector<RecipientWork> recipients;
  std::shared_ptr<const Message> message;  ///< content octets may be in it
};

struct LaneOptions {
  std::uint32_t sessions_max = 32;
  /// An operator stopped the lane: until then nothing of it is handed out, and nothing that happens
  /// there ends that. Epoch zero: not stopped; Time::max(): until the options change.
  Time suspended_until{};
};

struct SchedulerOptions {
  std::uint32_t window = 1000;           ///< entries in memory per flow
  std::size_t window_total = 100'000;    ///< of all flows; beyond it every flow is sure of one
  std::uint32_t sessions_max = 19800;    ///< of all lanes together
  std::uint32_t sessions_reserve = 200;  ///< further ones, for lanes that have none
  std::uint32_t tries_max = 0;           ///< reached: given up without another attempt; 0: no limit
  /// The options of a lane, asked when the lane appears; absent: the defaults.
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

  std::size_t lanes() const { return lanes_.size(); }

  std::size_t window_entries() const { return window_entries_; }

  std::uint32_t sessions() const { return sessions_; }

  std::size_t entries_in_flight() const { return entries_in_flight_; }

  std::uint32_t failures(const LaneKey& lane) const;

 private:
  struct Flow {
    std::map<DueCursor, Entry> window;
    std::optional<DueCursor> cursor;    ///< the disk is known up to here
    std::optional<Time> disk_earliest;  ///< set: something may be on disk after the cursor
    bool loading = false;
    std::map<DueCursor, std::uint32_t> busy;   ///< parts of entries being worked on
    std::set<DueCursor> finished_meanwhile;    ///< while a page is under way
    std::optional<DueCursor> noted_meanwhile;  ///< the first one noted while a page is under way
    std::set<QueueId> changed_meanwhile;       ///< by an operator, while a page is under way
    std::set<DueCursor> look_again;            ///< seen in a page while they were worked on
    std::optional<DueCursor> seen;             ///< the last place that any page has shown
    Time seen_keep{};                          ///< how long an idle flow remembers it

    bool idle(Time now) const {
      return window.empty() && !disk_earliest && !loading && busy.empty() &&
             (!seen || seen_keep <= now);
    }
  };

  using FlowMap = std::map<std::pair<PriorityClass, std::uint32_t>, Flow>;

  struct Lane {
    FlowMap flows;
    LaneOptions options;
    std::uint32_t sessions = 0;
    std::uint32_t failures = 0;
    Time delayed_until{};
    Time trouble_since{};
    Disposition trouble;
    std::uint64_t successes = 0;
    Time grown_at{};         ///< when latency last asked for one more session
    Time saturated_until{};  ///< no further session before
    bool queued_for_session = false;
    std::optional<Time> wakeup;                   ///< its place in wakeups_
    std::map<PriorityClass, std::uint32_t> turn;  ///< flow served last, per class
  };

  Lane& lane_of(const LaneKey& key);
  Flow& flow_of(const FlowKey& key);
  void insert(Flow& flow, Entry entry);
  void remove_from_window(Flow& flow, std::map<DueCursor, Entry>::iterator entry);
  void note_on_disk(Flow& flow, const DueCursor& place);
  void begin_work(Flow& flow, const DueCursor& place);
  static bool is_closed(const Lane& lane, Time now);
  std::optional<Cause> ended(const Lane& lane, const Entry& entry, const RecipientWork& recipient,
                             Time now) const;
  bool give_up_what_ended(const FlowKey& key, const Lane& lane, Flow& flow, Entry& entry, Time now);
  void sweep_closed(const LaneKey& key, Lane& lane, Time now);
  void load_what_is_due(const LaneKey& key, Lane& lane, Time now);
  std::uint32_t room_for(const Lane& lane, const Flow& flow, Time now) const;
  static std::optional<Time> first_due(const Lane& lane);
  static std::optional<Time> first_end_of_life(const Lane& lane);
  static std::uint64_t due_count(const Lane& lane, Time now, std::uint64_t enough);
  bool wants_session(const Lane& lane, Time now) const;
  void review(const LaneKey& key, Time now);
  void set_wakeup(const LaneKey& key, Lane& lane, Time now);
  void grant_sessions(Time now);
  bool may_open(const Lane& lane) const;

  SchedulerOptions options_;
  std::map<LaneKey, Lane> lanes_;
  std::set<std::pair<Time, LaneKey>> wakeups_;
  std::deque<LaneKey> session_queue_;  ///< lanes that want a session, in turn

  struct Blocked {
    std::uint32_t times = 0;
    std::optional<DueCursor> kept_out;  ///< the first entry that would have come in
  };

  bool keep_out(const FlowKey& key, const DueCursor& place);

  std::map<std::pair<FlowKey, QueueId>, Blocked> blocked_;
  std::vector<Action> actions_;
  std::size_t window_entries_ = 0;
  std::size_t entries_in_flight_ = 0;
  std::uint32_t sessions_ = 0;
  bool stopping_ = false;
};

}  // namespace mansio::schedule
