// Journal records: the header that every record begins with and the bodies of each type
// (docs/FORMATS.md §3). Reader and writer share this file. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "message/codec.h"
#include "spool/spool.h"

namespace mansio::spool {

enum class RecordType : std::uint8_t {
  group = 1,  ///< opens a group: how many records and octets follow, what was synced before
  admit = 2,
  settle = 3,  ///< its notices follow as admits
  change = 4,  ///< its notices follow as admits
  claim = 5,   ///< one claimed message
  renew = 6,
  relocate = 7,  ///< a live message copied whole, so that its old segment can be reused
  suspend = 8,   ///< one operation, or a copy of all that are in force
  record = 9,
};

inline constexpr std::size_t record_header_size = 40;
inline constexpr std::uint8_t record_version = 1;

struct RecordHeader {
  std::uint32_t length = 0;  ///< header and body
  RecordType type = RecordType::group;
  std::uint8_t version = record_version;
  std::uint8_t codec = 0;      ///< 0: as is; others are for compression
  std::uint32_t key_id = 0;    ///< 0: not encrypted
  std::uint32_t tenant = 0;    ///< 0: the name is in the body
  std::uint64_t epoch = 0;     ///< of the segment: stale octets of a recycled file never match
  std::uint64_t sequence = 0;  ///< of the record's first event
};

/// Appends a record in two steps, so that large content is copied once. The epoch is patched and
/// the checksum computed by seal_record(), when the segment is known.
std::size_t begin_record(std::string& out, RecordType type, std::uint64_t sequence);
void end_record(std::string& out, std::size_t start);
void seal_record(std::string& out, std::size_t start, std::uint64_t epoch);

enum class RecordFault { none, short_octets, checksum, epoch, version, length };

struct RecordView {
  RecordHeader header;
  std::string_view body;
};

/// Reads the record at the start of `octets`. `epoch` 0 accepts any.
RecordFault parse_record(std::string_view octets, std::uint64_t epoch, RecordView& out);

// ---- bodies -------------------------------------------------------------------------------------

struct GroupBody {
  std::uint64_t number = 0;   ///< counts groups over the whole spool, from 1
  std::uint64_t durable = 0;  ///< the newest group known to be synced when this one was written
  std::uint32_t records = 0;  ///< that follow
  std::uint64_t octets = 0;   ///< of the group with this record
};

void encode(Encoder& out, const GroupBody& body);
bool decode(std::string_view body, GroupBody& out);

/// Where the octets of a content are inside a record's body.
struct ContentPlace {
  bool in_record = false;
  std::uint32_t offset = 0;  ///< from the start of the record
  std::uint32_t length = 0;
};

/// A message with everything that the spool knows of it, as stored in `relocate` records.
struct Snapshot {
  StoredMessage stored;
  std::vector<Time> first_due;
};

ContentPlace append_admit(std::string& out, std::uint64_t sequence, const Admit& admit,
                          std::size_t& start);
ContentPlace append_relocate(std::string& out, std::uint64_t sequence, const Snapshot& snapshot,
                             bool in_record, std::string_view content, std::size_t& start);
/// Settle, Change, Renew and Record; of their notices only the ids: each is an admit record of its
/// own.
std::size_t append_operation(std::string& out, std::uint64_t sequence, const Operation& operation);
std::size_t append_claim(std::string& out, std::uint64_t sequence, const Claim& claim,
                         const QueueId& id);

/// Suspensions stored and ended, in order. What segments hold is not copied with live messages, so
/// each new segment begins to stand for itself: with `replaces`, nothing before counts.
struct SuspendBody {
  bool replaces = false;
  std::vector<Suspend> operations;
};

std::size_t append_suspend(std::string& out, std::uint64_t sequence, const SuspendBody& body);

/// A decoded record. Admits have null octets and the place of their content.
struct DecodedRecord {
  RecordType type = RecordType::group;
  GroupBody group;
  Operation operation;   ///< admit, settle, change, renew, claim, record; notices have ids only
  QueueId claimed;       ///< for claim
  Snapshot snapshot;     ///< for relocate
  SuspendBody suspend;   ///< for suspend
  ContentPlace content;  ///< for admit and relocate
};

/// nullopt: the body is not what this version writes.
std::optional<DecodedRecord> decode_record(const RecordView& record);

}  // namespace mansio::spool
