#include "spool/file/keys.h"

#include <algorithm>

#include "base/checksum.h"

namespace mansio::spool {
namespace {

constexpr std::uint64_t sign_bit = 1ull << 63;

void put_big(std::string& out, std::uint64_t value, int octets) {
  for (int shift = 8 * (octets - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

std::uint64_t get_big(std::string_view in) {
  std::uint64_t value = 0;
  for (const char c : in) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string_view as_text(const QueueId& id) {
  return {reinterpret_cast<const char*>(id.octets.data()), id.octets.size()};
}

QueueId as_id(std::string_view octets) {
  QueueId id;
  std::copy(octets.begin(), octets.end(), reinterpret_cast<char*>(id.octets.data()));
  return id;
}

constexpr std::string_view segment_prefix = "segment/";

}  // namespace

std::uint16_t partition_of(const LaneKey& lane) {
  return static_cast<std::uint16_t>(stable_hash(lane.destination + '\0' + lane.binding) %
                                    partitions);
}

std::string message_key(const QueueId& id) { return std::string(as_text(id)); }

std::string recipient_key(const QueueId& id, std::uint32_t recipient) {
  std::string key(as_text(id));
  put_big(key, recipient, 4);
  return key;
}

std::string lane_key(const LaneKey& lane) {
  std::string key;
  key.reserve(lane.destination.size() + lane.binding.size() + 4 + 5 + 24);
  put_big(key, partition_of(lane), 2);
  key += lane.destination;
  key.push_back('\0');
  key += lane.binding;
  key.push_back('\0');
  return key;
}

std::string flow_key(const FlowKey& flow) {
  std::string key = lane_key(flow.lane);
  put_big(key, static_cast<std::uint64_t>(flow.klass), 1);
  put_big(key, flow.flow, 4);
  return key;
}

std::string due_key(const FlowKey& flow, Time due, const QueueId& id) {
  return due_key(flow_key(flow), due, id);
}

std::string due_key(std::string_view flow, Time due, const QueueId& id) {
  std::string key;
  key.reserve(flow.size() + 8 + id.octets.size());
  key += flow;
  put_big(key, static_cast<std::uint64_t>(due.time_since_epoch().count()) ^ sign_bit, 8);
  key += as_text(id);
  return key;
}

std::string history_key(const QueueId& id, std::uint64_t sequence) {
  std::string key(as_text(id));
  put_big(key, sequence, 8);
  return key;
}

std::string segment_key(std::uint64_t epoch) {
  std::string key(segment_prefix);
  put_big(key, epoch, 8);
  return key;
}

std::string content_key(const QueueId& content) {
  return "content/" + std::string(as_text(content));
}

std::string suspension_key(std::string_view destination, std::string_view binding) {
  std::string key(suspension_prefix);
  key += destination;
  key.push_back('\0');
  key += binding;
  return key;
}

std::string end_of(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::optional<QueueId> parse_message_key(std::string_view key) {
  if (key.size() != 16) return std::nullopt;
  return as_id(key);
}

std::optional<LaneKey> parse_lane_key(std::string_view key) {
  if (key.size() < 4) return std::nullopt;
  const std::size_t first = key.find('\0', 2);
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = key.find('\0', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  LaneKey lane{std::string(key.substr(2, first - 2)),
               std::string(key.substr(first + 1, second - first - 1))};
  if (get_big(key.substr(0, 2)) != partition_of(lane)) return std::nullopt;
  return lane;
}

std::optional<FlowKey> parse_flow_key(std::string_view key) {
  if (key.size() < 5) return std::nullopt;
  const std::string_view tail = key.substr(key.size() - 5);
  const std::string_view head = key.substr(0, key.size() - 5);
  auto lane = parse_lane_key(head);
  const auto klass = static_cast<unsigned char>(tail[0]);
  if (!lane || head.back() != '\0' || klass > 3) return std::nullopt;
  return FlowKey{std::move(*lane), static_cast<PriorityClass>(klass),
                 static_cast<std::uint32_t>(get_big(tail.substr(1)))};
}

std::optional<DueKeyParts> parse_due_key(std::string_view key) {
  if (key.size() < 24) return std::nullopt;
  auto flow = parse_flow_key(key.substr(0, key.size() - 24));
  if (!flow) return std::nullopt;
  const std::uint64_t due = get_big(key.substr(key.size() - 24, 8)) ^ sign_bit;
  return DueKeyParts{std::move(*flow), Time(Duration(static_cast<std::int64_t>(due))),
                     as_id(key.substr(key.size() - 16))};
}

std::optional<std::uint32_t> parse_recipient_key(std::string_view key, QueueId& id) {
  if (key.size() != 20) return std::nullopt;
  id = as_id(key.substr(0, 16));
  return static_cast<std::uint32_t>(get_big(key.substr(16)));
}

std::optional<std::uint64_t> parse_segment_key(std::string_view key) {
  if (!key.starts_with(segment_prefix) || key.size() != segment_prefix.size() + 8) {
    return std::nullopt;
  }
  return get_big(key.substr(segment_prefix.size()));
}

}  // namespace mansio::spool
