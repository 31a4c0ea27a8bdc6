#include "spool/file/segment.h"

#include <gtest/gtest.h>

namespace mansio::spool {
namespace {

constexpr std::uint64_t epoch = 7;

/// A file in memory; only what a scan asks for does anything.
class MemoryFile final : public File {
 public:
  explicit MemoryFile(std::string octets) : octets_(std::move(octets)) {}

  Result<void> write_at(std::uint64_t, std::string_view) override { return {}; }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    return octets_.copy(buffer.data(), buffer.size(), static_cast<std::size_t>(offset));
  }

  Result<void> sync() override { return {}; }

  Result<void> allocate(std::uint64_t) override { return {}; }

  Result<void> truncate(std::uint64_t) override { return {}; }

  Result<std::uint64_t> size() override { return octets_.size(); }

 private:
  std::string octets_;
};

std::string make_group(std::uint64_t number, std::uint64_t durable,
                       std::uint64_t of_epoch = epoch) {
  std::string out;
  begin_record(out, RecordType::group, number);
  const std::size_t body = out.size();
  Encoder place;
  encode(place, GroupBody{});
  out += place.octets();
  end_record(out, 0);
  std::vector<std::size_t> starts;
  for (int i = 0; i < 2; ++i) {
    Renew renew;
    renew.id.octets[0] = static_cast<std::uint8_t>(i + 1);
    renew.epoch = number;
    starts.push_back(append_operation(out, number, Operation(renew)));
  }
  Encoder real;
  encode(real, GroupBody{number, durable, 2, out.size()});
  out.replace(body, real.size(), real.octets());
  seal_record(out, 0, of_epoch);
  for (const std::size_t start : starts) seal_record(out, start, of_epoch);
  return out;
}

Segment make_segment(const std::string& groups, std::size_t padding = 300) {
  Segment segment;
  segment.header.epoch = epoch;
  segment.header.first_group = 1;
  segment.header.size = segment_header_size + groups.size() + padding;
  segment.file = std::make_unique<MemoryFile>(std::string(segment_header_size, '\0') + groups +
                                              std::string(padding, '\0'));
  return segment;
}

struct Seen {
  std::vector<std::uint64_t> groups;
  ScanEnd end;
};

Seen scan(const std::string& groups) {
  Seen seen;
  const Segment segment = make_segment(groups);
  auto end = scan_groups(segment, segment_header_size, 1, [&](const GroupView& group) {
    EXPECT_EQ(group.records.size(), 2u);
    seen.groups.push_back(group.body.number);
    return true;
  });
  EXPECT_TRUE(end);
  seen.end = *end;
  return seen;
}

TEST(Segment, HeadersRoundTripAndEveryOctetOfThemCounts) {
  SegmentHeader header;
  header.instance.octets[3] = 9;
  header.epoch = 5;
  header.first_group = 6;
  header.durable = 4;
  header.size = 1 << 20;
  const std::string octets = encode_segment_header(header);
  SegmentHeader read;
  ASSERT_TRUE(decode_segment_header(octets, read));
  EXPECT_EQ(read.instance, header.instance);
  EXPECT_EQ(read.epoch, 5u);
  EXPECT_EQ(read.first_group, 6u);
  EXPECT_EQ(read.durable, 4u);
  EXPECT_EQ(read.size, 1u << 20);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    std::string damaged = octets;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(decode_segment_header(damaged, read)) << i;
    EXPECT_FALSE(decode_segment_header(octets.substr(0, i), read)) << i;
  }
}

TEST(Segment, AScanGivesWholeGroupsInOrderAndTheirEnd) {
  const std::string octets = make_group(1, 0) + make_group(2, 1) + make_group(3, 1);
  const Seen seen = scan(octets);
  EXPECT_EQ(seen.groups, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(seen.end.offset, segment_header_size + octets.size());
  EXPECT_EQ(seen.end.last_group, 3u);
  EXPECT_FALSE(seen.end.leftovers);
  EXPECT_FALSE(seen.end.damaged);
}

TEST(Segment, ALastGroupTornAtAnyOctetIsDroppedWholeAndIsNoDamage) {
  const std::string kept = make_group(1, 0), torn = make_group(2, 1), old = make_group(2, 1, 3);
  ASSERT_EQ(torn.size(), old.size());
  for (std::size_t cut = 0; cut < torn.size(); ++cut) {
    for (const std::string& rest : {std::string(torn.size() - cut, '\0'), old.substr(cut)}) {
      const Seen seen = scan(kept + torn.substr(0, cut) + rest);
      // A last octet that happens to be the same was not torn.
      if (torn.substr(cut) == rest) continue;
      EXPECT_EQ(seen.groups, (std::vector<std::uint64_t>{1})) << cut;
      EXPECT_EQ(seen.end.offset, segment_header_size + kept.size()) << cut;
      EXPECT_FALSE(seen.end.damaged) << cut;
    }
  }
}

TEST(Segment, ALaterGroupThatKnewOfTheSyncProvesDamageAtAnyOctet) {
  const std::string first = make_group(1, 0), second = make_group(2, 1), third = make_group(3, 2);
  for (std::size_t i = 0; i < second.size(); ++i) {
    std::string damaged = second;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    const Seen seen = scan(first + damaged + third);
    EXPECT_EQ(seen.groups, (std::vector<std::uint64_t>{1})) << i;
    EXPECT_TRUE(seen.end.damaged) << i;
  }
}

TEST(Segment, AGroupThatWasNotKnownToBeSyncedIsATornWriteEvenWithAnotherBehind) {
  std::string second = make_group(2, 1);
  second[60] = static_cast<char>(second[60] ^ 1);
  const Seen seen = scan(make_group(1, 0) + second + make_group(3, 1));
  EXPECT_EQ(seen.groups, (std::vector<std::uint64_t>{1}));
  EXPECT_TRUE(seen.end.leftovers);
  EXPECT_FALSE(seen.end.damaged);
}

TEST(Segment, OctetsOfAnEarlierUseOfTheFileNeverCount) {
  const Seen seen = scan(make_group(1, 0) + make_group(2, 1, epoch - 1) + make_group(3, 2, 1));
  EXPECT_EQ(seen.groups, (std::vector<std::uint64_t>{1}));
  EXPECT_FALSE(seen.end.leftovers);
  EXPECT_FALSE(seen.end.damaged);
}

TEST(Segment, SalvageReadsAllRecordsAroundADamagedStretch) {
  std::string second = make_group(2, 1);
  second[second.size() - 1] = static_cast<char>(second.back() ^ 1);
  const Segment segment = make_segment(make_group(1, 0) + second + make_group(3, 2));
  std::size_t records = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> damaged;
  ASSERT_TRUE(salvage_records(
      segment, [&](const RecordAt&) { ++records; },
      [&](std::uint64_t offset, std::uint64_t length) { damaged.emplace_back(offset, length); }));
  EXPECT_EQ(records, 8u);
  ASSERT_EQ(damaged.size(), 1u);
}

}  // namespace
}  // namespace mansio::spool
