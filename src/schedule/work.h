// The words of the scheduler: a piece of due work, the limits of a lane, its trouble.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
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
  std::size_t octets = 0;                  ///< of memory that `message` takes, estimated
};

struct LaneOptions {
  std::uint32_t sessions_max = 32;
  /// An operator stopped the lane: until then nothing of it is handed out, and nothing that happens
  /// there ends that. Epoch zero: not stopped; Time::max(): until the options change.
  Time suspended_until{};
};

/// The name of a flow inside its lane, in the order of service.
struct FlowId {
  PriorityClass klass = PriorityClass::normal;
  std::uint32_t flow = 0;
  friend auto operator<=>(const FlowId&, const FlowId&) = default;
};

/// A destination that could not be reached, and how long it is left alone.
struct Rest {
  std::uint32_t failures = 0;  ///< troubles in a row
  Time since{};
  Time until{};  ///< past: the lane may try again, and the next trouble makes a longer rest
  std::shared_ptr<const Disposition> trouble;
};

}  // namespace mansio::schedule
