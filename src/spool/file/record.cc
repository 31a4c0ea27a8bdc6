#include "spool/file/record.h"

#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"
#include "spool/file/rows.h"

namespace mansio::spool {
namespace {

void put_u32(std::string& out, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

void put_u64(std::string& out, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < 8; ++i) out[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

void encode_times(Encoder& out, const std::vector<Time>& times) {
  out.varint(times.size());
  for (const Time time : times) out.time(time);
}

bool decode_times(Decoder& in, std::vector<Time>& times) {
  const std::size_t count = in.count();
  times.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) times.push_back(in.time());
  return in.ok();
}

/// u8 1, u32 length and the octets, or u8 0 where the content has a file.
ContentPlace append_content(std::string& out, std::size_t start, bool in_record,
                            std::string_view content) {
  Encoder prefix(std::move(out));
  prefix.boolean(in_record);
  prefix.u32(static_cast<std::uint32_t>(content.size()));
  out = std::move(prefix).octets();
  const ContentPlace place{in_record, static_cast<std::uint32_t>(out.size() - start),
                           static_cast<std::uint32_t>(content.size())};
  out += content;
  return place;
}

bool decode_content(Decoder& in, std::string_view body, ContentPlace& place) {
  place.in_record = in.boolean();
  place.length = in.u32();
  place.offset = static_cast<std::uint32_t>(record_header_size + body.size() - in.left());
  in.raw(place.length);
  return in.ok() && in.at_end() && (place.in_record || place.length == 0);
}

void encode_indexes(Encoder& out, const std::vector<std::uint32_t>& indexes) {
  out.varint(indexes.size());
  for (const std::uint32_t index : indexes) out.varint(index);
}

bool decode_indexes(Decoder& in, std::vector<std::uint32_t>& indexes) {
  const std::size_t count = in.count();
  indexes.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint64_t index = in.varint();
    if (index > UINT32_MAX) in.fail();
    indexes.push_back(static_cast<std::uint32_t>(index));
  }
  return in.ok();
}

void encode_notices(Encoder& out, const std::vector<Admit>& notices) {
  out.varint(notices.size());
  for (const Admit& notice : notices) out.id(notice.message.id);
}

bool decode_notices(Decoder& in, std::vector<Admit>& notices) {
  const std::size_t count = in.count();
  for (std::size_t i = 0; i < count && in.ok(); ++i) notices.emplace_back().message.id = in.id();
  return in.ok();
}

void encode_body(Encoder& out, const Settle& settle) {
  out.id(settle.id);
  out.u64(settle.epoch);
  out.time(settle.at);
  out.varint(settle.outcomes.size());
  for (const RecipientOutcome& outcome : settle.outcomes) {
    out.u32(outcome.recipient);
    encode(out, outcome.disposition);
    out.time(outcome.next_due);
  }
  encode_notices(out, settle.notices);
}

bool decode_body(Decoder& in, Settle& settle) {
  settle.id = in.id();
  settle.epoch = in.u64();
  settle.at = in.time();
  const std::size_t count = in.count();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    RecipientOutcome& outcome = settle.outcomes.emplace_back();
    outcome.recipient = in.u32();
    if (!decode(in, outcome.disposition)) return false;
    outcome.next_due = in.time();
  }
  return decode_notices(in, settle.notices) && in.at_end();
}

void encode_body(Encoder& out, const Change& change) {
  out.id(change.id);
  out.u8(static_cast<std::uint8_t>(change.verb));
  encode_indexes(out, change.recipients);
  out.time(change.at);
  out.time(change.due);
  encode(out, change.disposition);
  out.string(change.reason);
  out.string(change.actor);
  encode_notices(out, change.notices);
}

bool decode_body(Decoder& in, Change& change) {
  change.id = in.id();
  const std::uint8_t verb = in.u8();
  if (verb > static_cast<std::uint8_t>(Verb::report_delay)) return false;
  change.verb = static_cast<Verb>(verb);
  if (!decode_indexes(in, change.recipients)) return false;
  change.at = in.time();
  change.due = in.time();
  if (!decode(in, change.disposition)) return false;
  change.reason = in.string();
  change.actor = in.string();
  return decode_notices(in, change.notices) && in.at_end();
}

void encode_body(Encoder& out, const Renew& renew) {
  out.id(renew.id);
  out.u64(renew.epoch);
  out.time(renew.at);
  out.time(renew.until);
}

bool decode_body(Decoder& in, Renew& renew) {
  renew.id = in.id();
  renew.epoch = in.u64();
  renew.at = in.time();
  renew.until = in.time();
  return in.ok() && in.at_end();
}

void encode_body(Encoder& out, const Record& record) {
  out.id(record.id);
  out.time(record.at);
  out.boolean(record.recipient.has_value());
  if (record.recipient) out.varint(*record.recipient);
  out.string(record.recipient_address);
  out.string(record.tenant);
  encode(out, record.disposition);
  out.string(record.reason);
  out.string(record.actor);
}

bool decode_body(Decoder& in, Record& record) {
  record.id = in.id();
  record.at = in.time();
  if (in.boolean()) {
    const std::uint64_t index = in.varint();
    if (index > UINT32_MAX) in.fail();
    record.recipient = static_cast<std::uint32_t>(index);
  }
  record.recipient_address = in.string();
  record.tenant = in.string();
  if (!decode(in, record.disposition)) return false;
  record.reason = in.string();
  record.actor = in.string();
  return in.ok() && in.at_end();
}

RecordType type_of(const Operation& operation) {
  if (std::holds_alternative<Settle>(operation)) return RecordType::settle;
  if (std::holds_alternative<Change>(operation)) return RecordType::change;
  if (std::holds_alternative<Record>(operation)) return RecordType::record;
  return RecordType::renew;
}

bool decode_body(Decoder& in, SuspendBody& body) {
  body.replaces = in.boolean();
  const std::size_t count = in.count();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Suspend& operation = body.operations.emplace_back();
    operation.resume = in.boolean();
    if (!decode(in, operation.suspension)) return false;
  }
  return in.ok() && in.at_end();
}

bool decode_claim(Decoder& in, Claim& claim, QueueId& id) {
  id = in.id();
  claim.lane.destination = in.string();
  claim.lane.binding = in.string();
  claim.holder = in.string();
  claim.at = in.time();
  claim.until = in.time();
  claim.limit = in.u32();
  return in.ok() && in.at_end();
}

bool decode_admit(Decoder& in, std::string_view body, Admit& admit, ContentPlace& place) {
  return decode(in, admit.message) && decode_times(in, admit.due) &&
         decode_content(in, body, place);
}

bool decode_snapshot(Decoder& in, std::string_view body, Snapshot& snapshot, ContentPlace& place) {
  StoredMessage& stored = snapshot.stored;
  if (!decode(in, stored.message)) return false;
  stored.epoch = in.u64();
  stored.lease_until = in.time();
  const std::size_t count = in.count();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    if (!decode(in, stored.recipients.emplace_back())) return false;
  }
  return decode_times(in, snapshot.first_due) && decode_content(in, body, place);
}

}  // namespace

std::size_t begin_record(std::string& out, RecordType type, std::uint64_t sequence) {
  const std::size_t start = out.size();
  out.append(record_header_size, '\0');
  out[start + 8] = static_cast<char>(type);
  out[start + 9] = static_cast<char>(record_version);
  put_u64(out, start + 32, sequence);
  return start;
}

void end_record(std::string& out, std::size_t start) {
  put_u32(out, start + 4, static_cast<std::uint32_t>(out.size() - start));
}

void seal_record(std::string& out, std::size_t start, std::uint64_t epoch) {
  put_u64(out, start + 24, epoch);
  std::uint32_t length = 0;
  std::memcpy(&length, out.data() + start + 4, 4);
  const std::string_view covered(out.data() + start + 4, length - 4);
  put_u32(out, start, crc32c(covered));
}

RecordFault parse_record(std::string_view octets, std::uint64_t epoch, RecordView& out) {
  if (octets.size() < record_header_size) return RecordFault::short_octets;
  Decoder in(octets.substr(0, record_header_size));
  const std::uint32_t checksum = in.u32();
  RecordHeader& header = out.header;
  header.length = in.u32();
  const std::uint8_t type = in.u8();
  header.version = in.u8();
  header.codec = in.u8();
  in.u8();
  header.key_id = in.u32();
  header.tenant = in.u32();
  in.u32();
  header.epoch = in.u64();
  header.sequence = in.u64();
  if (header.length < record_header_size) return RecordFault::length;
  if (epoch != 0 && header.epoch != epoch) return RecordFault::epoch;
  if (header.length > octets.size()) return RecordFault::short_octets;
  if (crc32c(octets.substr(4, header.length - 4)) != checksum) return RecordFault::checksum;
  if (header.version != record_version || header.codec != 0 || header.key_id != 0 || type < 1 ||
      type > static_cast<std::uint8_t>(RecordType::record)) {
    return RecordFault::version;
  }
  header.type = static_cast<RecordType>(type);
  out.body = octets.substr(record_header_size, header.length - record_header_size);
  return RecordFault::none;
}

void encode(Encoder& out, const GroupBody& body) {
  out.u64(body.number);
  out.u64(body.durable);
  out.u32(body.records);
  out.u64(body.octets);
}

bool decode(std::string_view body, GroupBody& out) {
  Decoder in(body);
  out.number = in.u64();
  out.durable = in.u64();
  out.records = in.u32();
  out.octets = in.u64();
  return in.ok() && in.at_end();
}

ContentPlace append_admit(std::string& out, std::uint64_t sequence, const Admit& admit,
                          std::size_t& start) {
  start = begin_record(out, RecordType::admit, sequence);
  Encoder body(std::move(out));
  encode(body, admit.message);
  encode_times(body, admit.due);
  out = std::move(body).octets();
  const auto& octets = admit.message.content.octets;
  const ContentPlace place = append_content(
      out, start, octets != nullptr, octets ? std::string_view(*octets) : std::string_view());
  end_record(out, start);
  return place;
}

ContentPlace append_relocate(std::string& out, std::uint64_t sequence, const Snapshot& snapshot,
                             bool in_record, std::string_view content, std::size_t& start) {
  start = begin_record(out, RecordType::relocate, sequence);
  Encoder body(std::move(out));
  encode(body, snapshot.stored.message);
  body.u64(snapshot.stored.epoch);
  body.time(snapshot.stored.lease_until);
  body.varint(snapshot.stored.recipients.size());
  for (const RecipientStatus& status : snapshot.stored.recipients) encode(body, status);
  encode_times(body, snapshot.first_due);
  out = std::move(body).octets();
  const ContentPlace place = append_content(out, start, in_record, content);
  end_record(out, start);
  return place;
}

std::size_t append_operation(std::string& out, std::uint64_t sequence, const Operation& operation) {
  const std::size_t start = begin_record(out, type_of(operation), sequence);
  Encoder body(std::move(out));
  if (const auto* settle = std::get_if<Settle>(&operation)) {
    encode_body(body, *settle);
  } else if (const auto* change = std::get_if<Change>(&operation)) {
    encode_body(body, *change);
  } else if (const auto* record = std::get_if<Record>(&operation)) {
    encode_body(body, *record);
  } else {
    const auto* renew = std::get_if<Renew>(&operation);
    MANSIO_ASSERT(renew != nullptr);
    encode_body(body, *renew);
  }
  out = std::move(body).octets();
  end_record(out, start);
  return start;
}

std::size_t append_suspend(std::string& out, std::uint64_t sequence, const SuspendBody& body) {
  Encoder encoded;
  encoded.boolean(body.replaces);
  encoded.varint(body.operations.size());
  for (const Suspend& operation : body.operations) {
    encoded.boolean(operation.resume);
    encode(encoded, operation.suspension);
  }
  const std::size_t start = begin_record(out, RecordType::suspend, sequence);
  out += encoded.octets();
  end_record(out, start);
  return start;
}

std::size_t append_claim(std::string& out, std::uint64_t sequence, const Claim& claim,
                         const QueueId& id) {
  Encoder body;
  body.id(id);
  body.string(claim.lane.destination);
  body.string(claim.lane.binding);
  body.string(claim.holder);
  body.time(claim.at);
  body.time(claim.until);
  body.u32(claim.limit);
  const std::size_t start = begin_record(out, RecordType::claim, sequence);
  out += body.octets();
  end_record(out, start);
  return start;
}

std::optional<DecodedRecord> decode_record(const RecordView& record) {
  DecodedRecord out;
  out.type = record.header.type;
  Decoder in(record.body);
  bool ok = false;
  switch (record.header.type) {
    case RecordType::group:
      ok = decode(record.body, out.group);
      break;
    case RecordType::admit: {
      Admit admit;
      ok = decode_admit(in, record.body, admit, out.content);
      out.operation = std::move(admit);
      break;
    }
    case RecordType::settle: {
      Settle settle;
      ok = decode_body(in, settle);
      out.operation = std::move(settle);
      break;
    }
    case RecordType::change: {
      Change change;
      ok = decode_body(in, change);
      out.operation = std::move(change);
      break;
    }
    case RecordType::claim: {
      Claim claim;
      ok = decode_claim(in, claim, out.claimed);
      out.operation = std::move(claim);
      break;
    }
    case RecordType::renew: {
      Renew renew;
      ok = decode_body(in, renew);
      out.operation = std::move(renew);
      break;
    }
    case RecordType::relocate:
      ok = decode_snapshot(in, record.body, out.snapshot, out.content);
      break;
    case RecordType::suspend:
      ok = decode_body(in, out.suspend);
      break;
    case RecordType::record: {
      Record note;
      ok = decode_body(in, note);
      out.operation = std::move(note);
      break;
    }
  }
  if (!ok) return std::nullopt;
  return out;
}

}  // namespace mansio::spool
