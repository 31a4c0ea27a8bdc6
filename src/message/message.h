// The accepted unit: envelope, content and the facts fixed at acceptance. Immutable after admit;
// what changes is the RecipientStatus of each recipient. Pure. Start reading the engine here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "message/content.h"
#include "message/disposition.h"
#include "message/envelope.h"

namespace mansio {

/// Order of service inside a lane: lower first.
enum class PriorityClass : std::uint8_t { deadline = 0, high = 1, normal = 2, low = 3 };
const char* to_text(PriorityClass klass);

/// The unit of scheduling: destination × binding, as fixed at acceptance. Stored in keys: never
/// derived from anything that changes by itself.
struct LaneKey {
  std::string destination;           ///< routing domain, see destination_of()
  /// Binding or binding group; "sender:PATTERN" for mail that a route of its sender takes;
  /// "notices" for our own notices, which have sessions of their own.
  std::string binding = "default";
  friend auto operator<=>(const LaneKey&, const LaneKey&) = default;
};

/// The part of a lane that is served in one order.
struct FlowKey {
  LaneKey lane;
  PriorityClass klass = PriorityClass::normal;
  std::uint32_t flow = 0;            ///< flow_of(message)
  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;
};

/// Place of a due entry in its flow, in the order of service; as a cursor: strictly after it.
struct DueCursor {
  Time due{};
  QueueId id;
  friend auto operator<=>(const DueCursor&, const DueCursor&) = default;
};

/// Durable state of a recipient. Final states are never left (C6 of the durability contract).
enum class RecipientState : std::uint8_t {
  queued,       ///< has a due time (now or later)
  held,         ///< an operator stopped it
  in_doubt,     ///< the final dot was sent, no outcome known, and in_doubt = "hold"
  quarantined,  ///< its stored octets do not decode; kept, reported
  delivered,
  failed,
  expired,
  removed,      ///< by an operator, without notice
  moved,        ///< to another spool or queue
};
bool is_final(RecipientState state);
const char* to_text(RecipientState state);

/// Everything about a recipient that changes.
struct RecipientStatus {
  RecipientState state = RecipientState::queued;
  Time due{};                   ///< next attempt; meaningful while queued (kept while held)
  std::uint32_t tries = 0;      ///< attempts that counted, delivered or not
  std::uint32_t retry_count = 0;///< deferrals of any cause, for operators to spot mail that defies delivery
  std::uint32_t delay_notices = 0;  ///< how many times its sender was told that it is delayed
  Time last_attempt{};          ///< epoch zero: none yet
  Disposition last;             ///< of the last attempt; outcome deferred and code 0 before the first
  friend bool operator==(const RecipientStatus&, const RecipientStatus&) = default;
};

struct Message {
  QueueId id;
  Envelope envelope;
  std::vector<LaneKey> lanes;   ///< per recipient, same index as envelope.recipients
  Content content;
  Time accepted_at{};
  Time expires_at{};            ///< acceptance + lifetime
  std::string tenant = "default";
  std::string campaign;
  PriorityClass klass = PriorityClass::normal;
  bool is_notice = false;       ///< a DSN of ours
};

/// The flow inside a lane: a stable hash of tenant and campaign; stored in keys.
std::uint32_t flow_of(const Message& message);

}  // namespace mansio
