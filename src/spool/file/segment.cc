#include "spool/file/segment.h"

#include <algorithm>

#include "base/checksum.h"

namespace mansio::spool {
namespace {

constexpr std::string_view magic = "MANSIOJ1";
constexpr std::size_t header_octets = 8 + 16 + 4 * 8;
constexpr std::size_t group_record_size = record_header_size + 28;

Result<std::string> read_from(const Segment& segment, std::uint64_t offset) {
  const std::uint64_t size = segment.header.size;
  std::string octets(static_cast<std::size_t>(size > offset ? size - offset : 0), '\0');
  auto got = segment.file->read_at(offset, octets);
  if (!got) return got.error();
  octets.resize(*got);
  return octets;
}

bool parse_group(std::string_view octets, std::uint64_t epoch, GroupView& out) {
  RecordView record;
  if (parse_record(octets, epoch, record) != RecordFault::none) return false;
  if (record.header.type != RecordType::group || !decode(record.body, out.body)) return false;
  if (out.body.octets > octets.size() || out.body.octets < record.header.length) return false;
  std::size_t at = record.header.length;
  out.records.clear();
  for (std::uint32_t i = 0; i < out.body.records; ++i) {
    RecordAt& next = out.records.emplace_back();
    const auto rest = octets.substr(at, static_cast<std::size_t>(out.body.octets) - at);
    if (parse_record(rest, epoch, next.view) != RecordFault::none) return false;
    next.offset = at;
    at += next.view.header.length;
  }
  return at == out.body.octets;
}

/// A cheap look before the checksum is computed: record type, version and the length of a group.
bool looks_like_group(std::string_view octets) {
  return octets.size() >= group_record_size && octets[8] == 1 && octets[9] == 1 &&
         static_cast<unsigned char>(octets[4]) == group_record_size && octets[5] == 0 &&
         octets[6] == 0 && octets[7] == 0;
}

/// What stands behind a group that does not read: torn octets, or proof of damage.
void judge_rest(std::string_view rest, std::uint64_t epoch, std::uint64_t missing, ScanEnd& end) {
  RecordView record;
  const RecordFault fault = parse_record(rest, epoch, record);
  end.leftovers = fault != RecordFault::epoch && fault != RecordFault::length;
  for (std::size_t at = 0; at + group_record_size <= rest.size(); ++at) {
    if (!looks_like_group(rest.substr(at))) continue;
    GroupBody body;
    if (parse_record(rest.substr(at), epoch, record) != RecordFault::none) continue;
    if (!decode(record.body, body)) continue;
    end.leftovers = true;
    if (body.durable >= missing) end.damaged = true;
  }
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  Encoder out;
  out.raw(magic);
  out.id(header.instance);
  out.u64(header.epoch);
  out.u64(header.first_group);
  out.u64(header.durable);
  out.u64(header.size);
  const std::uint32_t checksum = crc32c(out.octets());
  out.u32(checksum);
  return std::move(out).octets();
}

bool decode_segment_header(std::string_view octets, SegmentHeader& out) {
  if (octets.size() < header_octets + 4 || !octets.starts_with(magic)) return false;
  Decoder in(octets.substr(magic.size()));
  out.instance = in.id();
  out.epoch = in.u64();
  out.first_group = in.u64();
  out.durable = in.u64();
  out.size = in.u64();
  return in.u32() == crc32c(octets.substr(0, header_octets)) && in.ok();
}

Result<ScanEnd> scan_groups(const Segment& segment, std::uint64_t offset, std::uint64_t expected,
                            const std::function<bool(const GroupView&)>& visit) {
  auto octets = read_from(segment, offset);
  if (!octets) return octets.error();
  const std::string_view all = *octets;
  ScanEnd end;
  end.last_group = expected - 1;
  std::size_t at = 0;
  GroupView group;
  while (parse_group(all.substr(at), segment.header.epoch, group) &&
         group.body.number == end.last_group + 1) {
    group.offset = offset + at;
    group.end = group.offset + group.body.octets;
    for (RecordAt& record : group.records) record.offset += group.offset;
    if (!visit(group)) break;
    at += static_cast<std::size_t>(group.body.octets);
    end.last_group = group.body.number;
  }
  end.offset = offset + at;
  judge_rest(all.substr(at), segment.header.epoch, end.last_group + 1, end);
  return end;
}

Result<void> salvage_records(
    const Segment& segment, const std::function<void(const RecordAt&)>& visit,
    const std::function<void(std::uint64_t offset, std::uint64_t length)>& damaged) {
  auto octets = read_from(segment, segment_header_size);
  if (!octets) return octets.error();
  const std::string_view all = *octets;
  std::size_t at = 0;
  std::size_t gap = std::string_view::npos;  // where the unreadable stretch began
  while (at + record_header_size <= all.size()) {
    RecordAt record;
    if (parse_record(all.substr(at), segment.header.epoch, record.view) != RecordFault::none) {
      if (gap == std::string_view::npos) gap = at;
      ++at;
      continue;
    }
    if (gap != std::string_view::npos) damaged(segment_header_size + gap, at - gap);
    gap = std::string_view::npos;
    record.offset = segment_header_size + at;
    visit(record);
    at += record.view.header.length;
  }
  return {};
}

}  // namespace mansio::spool
