#include "spool/file/rows.h"

namespace mansio::spool {
namespace {

constexpr std::uint8_t row_version = 1;

bool finished(const Decoder& in) { return in.ok() && in.at_end(); }

bool version_fits(Decoder& in) { return in.u8() == row_version; }

}  // namespace

RecipientStatus initial_status(Time due) {
  RecipientStatus status;
  status.due = due;
  return status;
}

std::string encode_row(const Position& row) {
  Encoder out;
  out.u8(row_version);
  out.u64(row.epoch);
  out.u64(row.offset);
  out.u64(row.group);
  out.u64(row.sequence);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, Position& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  row.epoch = in.u64();
  row.offset = in.u64();
  row.group = in.u64();
  row.sequence = in.u64();
  return finished(in);
}

std::string encode_row(const MessageRow& row) {
  Encoder out;
  out.u8(row_version);
  out.u64(row.location.epoch);
  out.u64(row.location.record_offset);
  out.u32(row.location.record_length);
  out.boolean(row.location.in_record);
  out.u32(row.location.content_offset);
  out.u64(row.stored.epoch);
  out.time(row.stored.lease_until);
  encode(out, row.stored.message);
  out.varint(row.first_due.size());
  for (const Time due : row.first_due) out.time(due);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, MessageRow& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  row.location.epoch = in.u64();
  row.location.record_offset = in.u64();
  row.location.record_length = in.u32();
  row.location.in_record = in.boolean();
  row.location.content_offset = in.u32();
  row.stored.epoch = in.u64();
  row.stored.lease_until = in.time();
  if (!decode(in, row.stored.message)) return false;
  const std::size_t count = in.count();
  row.first_due.clear();
  row.stored.recipients.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    row.first_due.push_back(in.time());
    row.stored.recipients.push_back(initial_status(row.first_due.back()));
  }
  row.has_row.assign(count, false);
  return finished(in) && count == row.stored.message.envelope.recipients.size() &&
         count == row.stored.message.lanes.size();
}

std::string encode_row(const RecipientStatus& row) {
  Encoder out;
  out.u8(row_version);
  encode(out, row);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, RecipientStatus& row) {
  Decoder in(octets);
  return version_fits(in) && decode(in, row) && finished(in);
}

std::string encode_row(const LaneRow& row) {
  Encoder out;
  out.u8(row_version);
  out.varint(row.queued);
  out.varint(row.held);
  out.time(row.oldest);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, LaneRow& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  row.queued = in.varint();
  row.held = in.varint();
  row.oldest = in.time();
  return finished(in);
}

std::string encode_row(const FlowRow& row) {
  Encoder out;
  out.u8(row_version);
  out.varint(row.queued);
  out.time(row.earliest);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, FlowRow& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  row.queued = in.varint();
  row.earliest = in.time();
  return finished(in);
}

std::string encode_row(const LiveRow& row) {
  Encoder out;
  out.u8(row_version);
  out.varint(row.records);
  out.varint(row.octets);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, LiveRow& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  row.records = in.varint();
  row.octets = in.varint();
  return finished(in);
}

std::string encode_row(const Totals& row) {
  Encoder out;
  out.u8(row_version);
  for (const std::uint64_t value :
       {row.accepted, row.delivered, row.failed, row.expired, row.removed, row.moved, row.queued,
        row.held, row.in_doubt, row.quarantined, row.messages, row.octets}) {
    out.varint(value);
  }
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, Totals& row) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  for (std::uint64_t* value :
       {&row.accepted, &row.delivered, &row.failed, &row.expired, &row.removed, &row.moved,
        &row.queued, &row.held, &row.in_doubt, &row.quarantined, &row.messages, &row.octets}) {
    *value = in.varint();
  }
  return finished(in);
}

std::string encode_row(const std::vector<std::uint32_t>& recipients) {
  Encoder out;
  out.u8(row_version);
  out.varint(recipients.size());
  for (const std::uint32_t recipient : recipients) out.varint(recipient);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, std::vector<std::uint32_t>& recipients) {
  Decoder in(octets);
  if (!version_fits(in)) return false;
  const std::size_t count = in.count();
  recipients.clear();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    recipients.push_back(static_cast<std::uint32_t>(in.varint()));
  }
  return finished(in);
}

std::string encode_row(const Suspension& row) {
  Encoder out;
  out.u8(row_version);
  encode(out, row);
  return std::move(out).octets();
}

bool decode_row(std::string_view octets, Suspension& row) {
  Decoder in(octets);
  return version_fits(in) && decode(in, row) && finished(in);
}

void encode(Encoder& out, const Suspension& suspension) {
  out.string(suspension.destination);
  out.string(suspension.binding);
  out.time(suspension.since);
  out.time(suspension.until);
  out.string(suspension.reason);
  out.string(suspension.actor);
}

bool decode(Decoder& in, Suspension& suspension) {
  suspension.destination = in.string();
  suspension.binding = in.string();
  suspension.since = in.time();
  suspension.until = in.time();
  suspension.reason = in.string();
  suspension.actor = in.string();
  return in.ok();
}

void encode(Encoder& out, const HistoryEntry& entry) {
  out.u64(entry.seq);
  out.time(entry.at);
  out.u8(static_cast<std::uint8_t>(entry.kind));
  out.boolean(entry.recipient.has_value());
  if (entry.recipient) out.varint(*entry.recipient);
  out.string(entry.recipient_address);
  out.varint(entry.attempt);
  encode(out, entry.disposition);
  out.time(entry.next_due);
  out.string(entry.reason);
  out.string(entry.actor);
}

bool decode(Decoder& in, HistoryEntry& entry) {
  entry.seq = in.u64();
  entry.at = in.time();
  const std::uint8_t kind = in.u8();
  if (kind > static_cast<std::uint8_t>(EventKind::bounced)) in.fail();
  entry.kind = static_cast<EventKind>(kind);
  entry.recipient.reset();
  if (in.boolean()) entry.recipient = static_cast<std::uint32_t>(in.varint());
  entry.recipient_address = in.string();
  entry.attempt = static_cast<std::uint32_t>(in.varint());
  if (!decode(in, entry.disposition)) return false;
  entry.next_due = in.time();
  entry.reason = in.string();
  entry.actor = in.string();
  return in.ok();
}

void encode_rest(Encoder& out, const Event& event) {
  out.varint(event.size);
  out.string(event.tenant);
  out.string(event.lane.destination);
  out.string(event.lane.binding);
}

bool decode(Decoder& in, Event& event) {
  event.id = in.id();
  if (!decode(in, event.entry)) return false;
  event.size = in.varint();
  event.tenant = in.string();
  event.lane.destination = in.string();
  event.lane.binding = in.string();
  return in.ok();
}

}  // namespace mansio::spool
