// Values of the index (docs/FORMATS.md §4). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "message/codec.h"
#include "spool/spool.h"

namespace mansio::spool {

/// A place in the journal and how far everything before it has been applied.
struct Position {
  std::uint64_t epoch = 0;     ///< 0: before the first segment
  std::uint64_t offset = 0;    ///< of the next group
  std::uint64_t group = 0;     ///< the last group applied
  std::uint64_t sequence = 1;  ///< of the next event
};

/// Where a message's admit (or relocate) record and its content are.
struct Location {
  std::uint64_t epoch = 0;
  std::uint64_t record_offset = 0;  ///< in the segment
  std::uint32_t record_length = 0;
  bool in_record = true;             ///< false: the content has a file of its own
  std::uint32_t content_offset = 0;  ///< from the start of the record
};

/// Row of a message. The statuses of `stored` are the initial ones until the recipients' rows,
/// which exist only for those that changed, are read over them.
struct MessageRow {
  StoredMessage stored;
  Location location;
  std::vector<Time> first_due;
  std::vector<bool> has_row;  ///< per recipient; not stored
};

struct LaneRow {
  std::uint64_t queued = 0, held = 0;
  Time oldest{};
};

struct FlowRow {
  std::uint64_t queued = 0;
  Time earliest{};
};

struct LiveRow {
  std::uint64_t records = 0, octets = 0;
};

/// The status of a recipient that nothing has happened to.
RecipientStatus initial_status(Time due);

std::string encode_row(const Position& row);
std::string encode_row(const MessageRow& row);
std::string encode_row(const RecipientStatus& row);
std::string encode_row(const LaneRow& row);
std::string encode_row(const FlowRow& row);
std::string encode_row(const LiveRow& row);
std::string encode_row(const Totals& row);
std::string encode_row(const std::vector<std::uint32_t>& recipients);
std::string encode_row(const Suspension& row);

bool decode_row(std::string_view octets, Position& row);
bool decode_row(std::string_view octets, MessageRow& row);
bool decode_row(std::string_view octets, RecipientStatus& row);
bool decode_row(std::string_view octets, LaneRow& row);
bool decode_row(std::string_view octets, FlowRow& row);
bool decode_row(std::string_view octets, LiveRow& row);
bool decode_row(std::string_view octets, Totals& row);
bool decode_row(std::string_view octets, std::vector<std::uint32_t>& recipients);
bool decode_row(std::string_view octets, Suspension& row);

void encode(Encoder& out, const HistoryEntry& entry);
bool decode(Decoder& in, HistoryEntry& entry);
/// An event is its id, its entry and the rest.
void encode_rest(Encoder& out, const Event& event);
bool decode(Decoder& in, Event& event);
void encode(Encoder& out, const Suspension& suspension);
bool decode(Decoder& in, Suspension& suspension);

}  // namespace mansio::spool
