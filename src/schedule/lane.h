// A lane that is awake: something of it is in memory or at work. Only the scheduler uses it.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>

#include "schedule/flow_dues.h"
#include "schedule/window.h"
#include "schedule/work.h"

namespace mansio::schedule {

struct PlaceHash {
  std::size_t operator()(const DueCursor& place) const noexcept {
    return std::hash<QueueId>()(place.id) ^
           static_cast<std::size_t>(place.due.time_since_epoch().count());
  }
};

/// What happened to a flow while one of its pages is read.
struct PageUnderWay {
  std::uint32_t limit = 0;
  std::size_t octets = 0;  ///< set aside for it
  std::set<DueCursor> finished;
  std::optional<DueCursor> noted;  ///< the first one
  std::set<QueueId> changed;       ///< by an operator
};

/// A flow of which something is in memory, at work, or being read.
struct Flow {
  Window window;
  std::optional<DueCursor> cursor;                               ///< the disk is known up to here
  std::unordered_map<DueCursor, std::uint32_t, PlaceHash> busy;  ///< parts being worked on
  std::set<DueCursor> look_again;  ///< of `busy`: seen in a page meanwhile
  std::unique_ptr<PageUnderWay> page;

  bool idle() const { return window.empty() && busy.empty() && !page; }
};

struct Lane {
  static constexpr std::uint32_t unset = std::numeric_limits<std::uint32_t>::max();

  const LaneKey* key = nullptr;
  std::map<FlowId, Flow> flows;
  FlowDues disk;  ///< what may be on disk after the cursors; not of flows that are being read
  LaneOptions options;
  std::unique_ptr<Rest> rest;  ///< null: the destination is well
  std::uint32_t sessions = 0;
  std::uint32_t pages = 0;  ///< under way
  std::uint64_t window_entries = 0;
  std::uint64_t successes = 0;
  Time grown_at{};         ///< when latency last asked for one more session
  Time saturated_until{};  ///< no further session before
  bool queued_for_session = false;
  bool queued_for_room = false;
  Time wakeup = Time::max();
  std::uint32_t wakeup_position = unset;  ///< in the heap of wake-ups
  std::array<std::uint32_t, 4> turn{};    ///< flow served last, per class

  std::uint32_t failures() const { return rest ? rest->failures : 0; }

  /// An operator stopped it.
  bool suspended(Time now) const { return options.suspended_until > now; }

  /// Nothing of it is handed out: its destination rests, or an operator stopped it.
  bool closed(Time now) const { return suspended(now) || (rest && rest->until > now); }

  bool at_work() const { return !flows.empty() || sessions > 0; }
};

}  // namespace mansio::schedule
