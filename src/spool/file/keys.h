// Keys of the index (docs/FORMATS.md §4): octet order is the order of service. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spool/spool.h"

namespace mansio::spool {

inline constexpr std::uint16_t partitions = 4096;

std::uint16_t partition_of(const LaneKey& lane);

std::string message_key(const QueueId& id);
std::string recipient_key(const QueueId& id, std::uint32_t recipient);
std::string lane_key(const LaneKey& lane);
std::string flow_key(const FlowKey& flow);
std::string due_key(const FlowKey& flow, Time due, const QueueId& id);
/// The same, behind the key of the flow.
std::string due_key(std::string_view flow, Time due, const QueueId& id);
std::string history_key(const QueueId& id, std::uint64_t sequence);
std::string segment_key(std::uint64_t epoch);
std::string content_key(const QueueId& content);
std::string suspension_key(std::string_view destination, std::string_view binding);

/// Before the key of every suspension.
inline constexpr std::string_view suspension_prefix = "suspension/";

/// Positions inside a scan: the key directly behind every key that begins with `prefix`.
std::string end_of(std::string_view prefix);

std::optional<QueueId> parse_message_key(std::string_view key);
std::optional<LaneKey> parse_lane_key(std::string_view key);
std::optional<FlowKey> parse_flow_key(std::string_view key);

struct DueKeyParts {
  FlowKey flow;
  Time due{};
  QueueId id;
};

std::optional<DueKeyParts> parse_due_key(std::string_view key);
std::optional<std::uint32_t> parse_recipient_key(std::string_view key, QueueId& id);
std::optional<std::uint64_t> parse_segment_key(std::string_view key);

}  // namespace mansio::spool
