#include "spool/file/record.h"

#include <gtest/gtest.h>

#include "base/checksum.h"

namespace mansio::spool {
namespace {

constexpr std::uint64_t epoch = 11;
const Time noon{std::chrono::hours(500'000)};

QueueId id_of(std::uint8_t n) {
  QueueId id;
  id.octets[0] = n;
  return id;
}

Disposition reply() {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.reply.code = 451;
  disposition.reply.text = "try later";
  disposition.host = "mx.x.example";
  return disposition;
}

Message make_message() {
  Message message;
  message.id = id_of(1);
  message.tenant = "default";
  message.envelope.reverse_path = Address{"s", "y.example"};
  message.envelope.recipients.push_back({Address{"a", "x.example"}, {}, {}, {}});
  message.lanes = {LaneKey{"x.example", "default"}};
  message.content.id = id_of(1);
  message.content.facts.size = 7;
  message.accepted_at = noon;
  return message;
}

Settle make_settle() {
  Settle settle;
  settle.id = id_of(2);
  settle.epoch = 3;
  settle.at = noon;
  settle.outcomes.push_back({4, reply(), noon + std::chrono::minutes(5)});
  settle.notices.emplace_back().message.id = id_of(9);
  return settle;
}

Change make_change() {
  Change change;
  change.id = id_of(3);
  change.verb = Verb::hold;
  change.recipients = {0, 300, 70'000};
  change.at = noon;
  change.due = noon;
  change.disposition = reply();
  change.reason = "why";
  change.actor = "operator root";
  return change;
}

Suspension make_suspension() {
  return {"*.x.example", "bulk", noon, noon + std::chrono::hours(1), "why", "operator root"};
}

Record make_note() {
  return {id_of(6), noon, 300, "a@x.example", "acme", reply(), "a notice", "engine"};
}

std::string sealed(std::string octets) {
  seal_record(octets, 0, epoch);
  return octets;
}

/// One of each type.
std::vector<std::string> all_records() {
  std::vector<std::string> records;
  std::string out;
  begin_record(out, RecordType::group, 5);
  Encoder body;
  encode(body, GroupBody{8, 7, 2, 900});
  out += body.octets();
  end_record(out, 0);
  records.push_back(sealed(std::move(out)));

  std::size_t start = 0;
  Admit admit;
  admit.message = make_message();
  admit.message.content.octets = std::make_shared<const std::string>("content");
  admit.due = {noon};
  out.clear();
  append_admit(out, 5, admit, start);
  records.push_back(sealed(std::move(out)));

  for (const Operation& operation : {Operation(make_settle()), Operation(make_change()),
                                     Operation(Renew{id_of(4), 5, noon, noon})}) {
    out.clear();
    append_operation(out, 5, operation);
    records.push_back(sealed(std::move(out)));
  }
  out.clear();
  append_claim(out, 5, Claim{{"x.example", "default"}, "holder", noon, noon, 3}, id_of(5));
  records.push_back(sealed(std::move(out)));

  Snapshot snapshot;
  snapshot.stored.message = make_message();
  snapshot.stored.recipients.resize(1);
  snapshot.stored.recipients[0].tries = 2;
  snapshot.stored.recipients[0].last = reply();
  snapshot.first_due = {noon};
  out.clear();
  append_relocate(out, 5, snapshot, true, "content", start);
  records.push_back(sealed(std::move(out)));

  out.clear();
  append_suspend(out, 5, {true, {{make_suspension(), false}, {make_suspension(), true}}});
  records.push_back(sealed(std::move(out)));
  out.clear();
  append_operation(out, 5, make_note());
  records.push_back(sealed(std::move(out)));
  return records;
}

DecodedRecord decoded(const std::string& octets) {
  RecordView view;
  EXPECT_EQ(parse_record(octets, epoch, view), RecordFault::none);
  auto record = decode_record(view);
  EXPECT_TRUE(record);
  return record ? std::move(*record) : DecodedRecord{};
}

TEST(Record, EveryTypeComesBackAsItWentIn) {
  const auto records = all_records();
  ASSERT_EQ(records.size(), 9u);
  EXPECT_EQ(decoded(records[0]).group.number, 8u);
  EXPECT_EQ(decoded(records[0]).group.octets, 900u);

  const DecodedRecord admit = decoded(records[1]);
  const auto& message = std::get<Admit>(admit.operation).message;
  EXPECT_EQ(message.id, id_of(1));
  EXPECT_EQ(message.lanes, make_message().lanes);
  EXPECT_TRUE(admit.content.in_record);
  EXPECT_EQ(records[1].substr(admit.content.offset, admit.content.length), "content");

  const auto settle = std::get<Settle>(decoded(records[2]).operation);
  EXPECT_EQ(settle.id, id_of(2));
  EXPECT_EQ(settle.epoch, 3u);
  ASSERT_EQ(settle.outcomes.size(), 1u);
  EXPECT_EQ(settle.outcomes[0].recipient, 4u);
  EXPECT_EQ(settle.outcomes[0].disposition, reply());
  ASSERT_EQ(settle.notices.size(), 1u);
  EXPECT_EQ(settle.notices[0].message.id, id_of(9));

  const auto change = std::get<Change>(decoded(records[3]).operation);
  EXPECT_EQ(change.verb, Verb::hold);
  EXPECT_EQ(change.recipients, make_change().recipients);
  EXPECT_EQ(change.actor, "operator root");
  EXPECT_EQ(std::get<Renew>(decoded(records[4]).operation).id, id_of(4));

  const DecodedRecord claim = decoded(records[5]);
  EXPECT_EQ(claim.claimed, id_of(5));
  EXPECT_EQ(std::get<Claim>(claim.operation).holder, "holder");

  const DecodedRecord relocate = decoded(records[6]);
  ASSERT_EQ(relocate.snapshot.stored.recipients.size(), 1u);
  EXPECT_EQ(relocate.snapshot.stored.recipients[0].tries, 2u);
  EXPECT_EQ(records[6].substr(relocate.content.offset, relocate.content.length), "content");

  const SuspendBody suspend = decoded(records[7]).suspend;
  EXPECT_TRUE(suspend.replaces);
  ASSERT_EQ(suspend.operations.size(), 2u);
  EXPECT_EQ(suspend.operations[0].suspension, make_suspension());
  EXPECT_FALSE(suspend.operations[0].resume);
  EXPECT_TRUE(suspend.operations[1].resume);

  const auto note = std::get<Record>(decoded(records[8]).operation);
  EXPECT_EQ(note.id, id_of(6));
  EXPECT_EQ(note.recipient, 300u);
  EXPECT_EQ(note.recipient_address, "a@x.example");
  EXPECT_EQ(note.tenant, "acme");
  EXPECT_EQ(note.disposition, reply());
  EXPECT_EQ(note.reason, "a notice");
  EXPECT_EQ(note.actor, "engine");
}

// A live message as format 1 copied it: its statuses are of version 1.
TEST(Record, ARelocatedMessageOfFormatOneIsRead) {
  std::string out;
  begin_record(out, RecordType::relocate, 5);
  Encoder body;
  encode(body, make_message());
  body.u64(0);
  body.time({});
  body.varint(1);
  body.u8(1);
  body.u8(static_cast<std::uint8_t>(RecipientState::held));
  body.time(noon);
  body.varint(3);
  body.varint(4);
  body.time(noon);
  encode(body, reply());
  body.varint(1);
  body.time(noon);
  body.boolean(true);
  body.u32(7);
  body.raw("content");
  out += body.octets();
  end_record(out, 0);
  const DecodedRecord relocate = decoded(sealed(std::move(out)));
  ASSERT_EQ(relocate.snapshot.stored.recipients.size(), 1u);
  const RecipientStatus& status = relocate.snapshot.stored.recipients[0];
  EXPECT_EQ(status.state, RecipientState::held);
  EXPECT_EQ(status.tries, 3u);
  EXPECT_EQ(status.retry_count, 4u);
  EXPECT_EQ(status.delay_notices, 0u);
  EXPECT_EQ(status.last, reply());
  EXPECT_EQ(relocate.content.length, 7u);
}

TEST(Record, NoTruncationAndNoFlippedBitIsReadAsARecord) {
  for (const std::string& octets : all_records()) {
    RecordView view;
    for (std::size_t length = 0; length < octets.size(); ++length) {
      EXPECT_NE(parse_record(octets.substr(0, length), epoch, view), RecordFault::none);
      std::string flipped = octets;
      flipped[length] = static_cast<char>(flipped[length] ^ 4);
      EXPECT_NE(parse_record(flipped, epoch, view), RecordFault::none);
    }
    EXPECT_EQ(parse_record(octets, epoch + 1, view), RecordFault::epoch);
  }
}

TEST(Record, ABodyThatEndsEarlyOrGoesOnDoesNotDecode) {
  // With a right checksum, as a writer with a fault of its own would leave it.
  for (const std::string& octets : all_records()) {
    for (std::size_t length = record_header_size; length <= octets.size() + 1; ++length) {
      if (length == octets.size()) continue;
      std::string cut = octets;
      cut.resize(length, '\0');
      end_record(cut, 0);
      seal_record(cut, 0, epoch);
      RecordView view;
      ASSERT_EQ(parse_record(cut, epoch, view), RecordFault::none);
      EXPECT_FALSE(decode_record(view)) << length;
    }
  }
}

TEST(Record, AVersionCodecOrTypeFromTheFutureIsRefused) {
  for (const std::string& octets : all_records()) {
    RecordView view;
    for (const std::size_t field : {9u, 10u}) {
      std::string newer = octets;
      newer[field] = 2;
      seal_record(newer, 0, epoch);
      EXPECT_EQ(parse_record(newer, epoch, view), RecordFault::version);
    }
    for (const char type : {'\0', '\x0a', '\x7f'}) {
      std::string unknown = octets;
      unknown[8] = type;
      seal_record(unknown, 0, epoch);
      EXPECT_EQ(parse_record(unknown, epoch, view), RecordFault::version);
    }
  }
}

}  // namespace
}  // namespace mansio::spool
