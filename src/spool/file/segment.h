// One file of the journal: a header block, then groups of records (docs/FORMATS.md §2).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/id.h"
#include "spool/file/file_system.h"
#include "spool/file/record.h"

namespace mansio::spool {

inline constexpr std::uint64_t segment_header_size = 4096;

struct SegmentHeader {
  QueueId instance;               ///< of the spool
  std::uint64_t epoch = 0;        ///< grows with every use of any file
  std::uint64_t first_group = 0;  ///< 0: prepared, not used yet
  std::uint64_t durable = 0;  ///< the newest group known to be synced when it was taken into use
  std::uint64_t size = 0;     ///< of the file
};

std::string encode_segment_header(const SegmentHeader& header);
/// False: not a header of this version.
bool decode_segment_header(std::string_view octets, SegmentHeader& out);

/// A segment file that is in use. Thread safety: the counters belong to the Journal's mutex.
struct Segment {
  SegmentHeader header;
  std::filesystem::path path;
  std::unique_ptr<File> file;
  std::uint64_t live_records = 0;   ///< admit and relocate records of messages that still exist
  std::uint64_t live_octets = 0;    ///< their length
  std::uint64_t changed_group = 0;  ///< the last group that changed the two
  std::uint64_t last_group = 0;     ///< the last group inside; final once the segment is full
  std::uint64_t end = segment_header_size;  ///< where the next group goes
  bool kept = false;                        ///< survivors inside cannot be moved
};

using SegmentPtr = std::shared_ptr<Segment>;

struct RecordAt {
  RecordView view;
  std::uint64_t offset = 0;  ///< in the segment
};

struct GroupView {
  GroupBody body;
  std::uint64_t offset = 0, end = 0;
  std::vector<RecordAt> records;  ///< without the group record
};

/// How the sequence of groups in a segment ended.
struct ScanEnd {
  std::uint64_t offset = 0;      ///< behind the last whole group
  std::uint64_t last_group = 0;  ///< its number
  bool leftovers = false;        ///< octets of this epoch stand behind it: a torn write
  bool damaged = false;          ///< a later group proves that the missing one had been synced
};

/// Reads whole groups from `offset`, the first of which must have the number `expected`; calls
/// `visit` for each and stops early if it returns false. Views are valid inside the call only.
Result<ScanEnd> scan_groups(const Segment& segment, std::uint64_t offset, std::uint64_t expected,
                            const std::function<bool(const GroupView&)>& visit);

/// For audit and rebuilding: every readable record of the epoch, damaged stretches skipped and
/// reported as (offset, length).
Result<void> salvage_records(
    const Segment& segment, const std::function<void(const RecordAt&)>& visit,
    const std::function<void(std::uint64_t offset, std::uint64_t length)>& damaged);

}  // namespace mansio::spool
