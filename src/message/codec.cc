#include "message/codec.h"

#include <concepts>
#include <limits>

#include "base/assert.h"

namespace mansio {
namespace {

// Octets that open an encoding. A reader knows every version up to its own.
constexpr std::uint8_t message_version = 1;
constexpr std::uint8_t status_version = 2;  // 2: delay_notices
constexpr std::uint8_t disposition_version = 1;

template <std::unsigned_integral Integer>
void put_little_endian(std::string& out, Integer value) {
  char octets[sizeof(Integer)];
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    octets[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
  }
  out.append(octets, sizeof(Integer));
}

template <std::unsigned_integral Integer>
Integer get_little_endian(std::string_view octets) {
  std::uint64_t value = 0;
  for (std::size_t i = octets.size(); i > 0; --i) {
    value = value << 8 | static_cast<std::uint8_t>(octets[i - 1]);
  }
  return static_cast<Integer>(value);
}

/// An enumeration stored as one octet; a value past `last` is damage, or from a later version.
template <class Enumeration>
Enumeration get_enumeration(Decoder& in, Enumeration last) {
  const std::uint8_t value = in.u8();
  if (value > static_cast<std::uint8_t>(last)) {
    in.fail();
    return Enumeration{};
  }
  return static_cast<Enumeration>(value);
}

template <class Enumeration>
void put_enumeration(Encoder& out, Enumeration value) {
  out.u8(static_cast<std::uint8_t>(value));
}

std::uint32_t get_varint32(Decoder& in) {
  const std::uint64_t value = in.varint();
  if (value > std::numeric_limits<std::uint32_t>::max()) {
    in.fail();
    return 0;
  }
  return static_cast<std::uint32_t>(value);
}

/// Octets of flags: bits that this version does not know are refused, never dropped.
std::uint8_t get_flags(Decoder& in, std::uint8_t known) {
  const std::uint8_t flags = in.u8();
  if ((flags & ~known) != 0) {
    in.fail();
    return 0;
  }
  return flags;
}

constexpr std::uint8_t bit(bool value, unsigned position) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(value) << position);
}

constexpr bool has_bit(std::uint8_t flags, unsigned position) {
  return (flags >> position & 1U) != 0;
}

/// The version that was written; 0: none that this program reads.
std::uint8_t get_version(Decoder& in, std::uint8_t newest) {
  const std::uint8_t version = in.u8();
  if (version == 0 || version > newest) in.fail();
  return in.ok() ? version : std::uint8_t{0};
}

void put_address(Encoder& out, const Address& address) {
  out.string(address.local);
  out.string(address.domain);
}

Address get_address(Decoder& in) {
  Address address;
  address.local = in.string();
  address.domain = in.string();
  return address;
}

// flags: 0-4 the notify fields, 5: the original address differs and follows
void put_recipient(Encoder& out, const Recipient& recipient) {
  const DsnNotify& notify = recipient.notify;
  const bool rewritten = recipient.original != recipient.address;
  out.u8(static_cast<std::uint8_t>(bit(notify.present, 0) | bit(notify.never, 1) |
                                   bit(notify.success, 2) | bit(notify.failure, 3) |
                                   bit(notify.delay, 4) | bit(rewritten, 5)));
  put_address(out, recipient.address);
  if (rewritten) put_address(out, recipient.original);
  out.string(recipient.original_recipient);
}

Recipient get_recipient(Decoder& in) {
  Recipient recipient;
  const std::uint8_t flags = get_flags(in, 0x3f);
  recipient.notify = {has_bit(flags, 0), has_bit(flags, 1), has_bit(flags, 2), has_bit(flags, 3),
                      has_bit(flags, 4)};
  recipient.address = get_address(in);
  recipient.original = has_bit(flags, 5) ? get_address(in) : recipient.address;
  recipient.original_recipient = in.string();
  return recipient;
}

void put_origin(Encoder& out, const Origin& origin) {
  out.string(origin.protocol);
  out.string(origin.client_address);
  out.string(origin.client_name);
  out.string(origin.tls);
  out.string(origin.user);
}

Origin get_origin(Decoder& in) {
  Origin origin;
  origin.protocol = in.string();
  origin.client_address = in.string();
  origin.client_name = in.string();
  origin.tls = in.string();
  origin.user = in.string();
  return origin;
}

void put_envelope(Encoder& out, const Envelope& envelope) {
  put_address(out, envelope.reverse_path);
  put_enumeration(out, envelope.body);
  out.boolean(envelope.smtputf8);
  put_enumeration(out, envelope.dsn_return);
  out.string(envelope.envelope_id);
  put_origin(out, envelope.origin);
  out.varint(envelope.recipients.size());
  for (const Recipient& recipient : envelope.recipients) put_recipient(out, recipient);
}

Envelope get_envelope(Decoder& in) {
  Envelope envelope;
  envelope.reverse_path = get_address(in);
  envelope.body = get_enumeration(in, BodyType::binary_mime);
  envelope.smtputf8 = in.boolean();
  envelope.dsn_return = get_enumeration(in, DsnReturn::headers);
  envelope.envelope_id = in.string();
  envelope.origin = get_origin(in);
  // No reserve(): memory grows with what was really read, not with what a length claims.
  const std::size_t recipients = in.count();
  for (std::size_t i = 0; i < recipients && in.ok(); ++i) {
    envelope.recipients.push_back(get_recipient(in));
  }
  return envelope;
}

/// Recipients of a message share few lanes, often in runs: a varint per recipient says how many
/// lanes back the same lane was written (1: the previous recipient's), 0 that it follows here.
void put_lanes(Encoder& out, const std::vector<LaneKey>& lanes) {
  std::vector<const LaneKey*> written;
  for (const LaneKey& lane : lanes) {
    std::size_t back = 0;
    constexpr std::size_t search_max = 16;  // keeps encoding linear for many-domain messages
    for (std::size_t i = 1; i <= written.size() && i <= search_max; ++i) {
      if (*written[written.size() - i] == lane) {
        back = i;
        break;
      }
    }
    out.varint(back);
    if (back != 0) continue;
    out.string(lane.destination);
    out.string(lane.binding);
    written.push_back(&lane);
  }
}

std::vector<LaneKey> get_lanes(Decoder& in, std::size_t recipients) {
  std::vector<LaneKey> lanes;
  std::vector<std::size_t> written;
  for (std::size_t i = 0; i < recipients && in.ok(); ++i) {
    const std::uint64_t back = in.varint();
    if (back > written.size()) {
      in.fail();
      break;
    }
    if (back != 0) {
      lanes.push_back(LaneKey(lanes[written[written.size() - static_cast<std::size_t>(back)]]));
      continue;
    }
    LaneKey lane;
    lane.destination = in.string();
    lane.binding = in.string();
    written.push_back(lanes.size());
    lanes.push_back(std::move(lane));
  }
  return lanes;
}

void put_content(Encoder& out, const Content& content) {
  out.id(content.id);
  out.varint(content.facts.size);
  out.u32(content.facts.checksum);
  out.varint(content.facts.header_size);
  out.u8(static_cast<std::uint8_t>(bit(content.facts.has_8bit_header, 0) |
                                   bit(content.facts.has_8bit_body, 1)));
  out.varint(content.facts.longest_line);
  out.string(content.facts.subject);
}

Content get_content(Decoder& in) {
  Content content;
  content.id = in.id();
  content.facts.size = in.varint();
  content.facts.checksum = in.u32();
  content.facts.header_size = get_varint32(in);
  const std::uint8_t flags = get_flags(in, 0x03);
  content.facts.has_8bit_header = has_bit(flags, 0);
  content.facts.has_8bit_body = has_bit(flags, 1);
  content.facts.longest_line = get_varint32(in);
  content.facts.subject = in.string();
  return content;
}

}  // namespace

// ---- Encoder ----------------------------------------------------------------------------------

void Encoder::u8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }

void Encoder::u16(std::uint16_t value) { put_little_endian(out_, value); }

void Encoder::u32(std::uint32_t value) { put_little_endian(out_, value); }

void Encoder::u64(std::uint64_t value) { put_little_endian(out_, value); }

void Encoder::varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void Encoder::string(std::string_view value) {
  varint(value.size());
  out_.append(value);
}

void Encoder::raw(std::string_view value) { out_.append(value); }

void Encoder::id(const QueueId& value) {
  out_.append(reinterpret_cast<const char*>(value.octets.data()), value.octets.size());
}

void Encoder::time(Time value) {
  u64(static_cast<std::uint64_t>(value.time_since_epoch().count()));
}

// ---- Decoder ----------------------------------------------------------------------------------

std::string_view Decoder::raw(std::size_t size) {
  if (!ok_ || size > in_.size()) {
    fail();
    return {};
  }
  const std::string_view taken = in_.substr(0, size);
  in_.remove_prefix(size);
  return taken;
}

std::uint8_t Decoder::u8() { return get_little_endian<std::uint8_t>(raw(1)); }

std::uint16_t Decoder::u16() { return get_little_endian<std::uint16_t>(raw(2)); }

std::uint32_t Decoder::u32() { return get_little_endian<std::uint32_t>(raw(4)); }

std::uint64_t Decoder::u64() { return get_little_endian<std::uint64_t>(raw(8)); }

std::uint64_t Decoder::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t octet = u8();
    if (!ok_) return 0;
    const std::uint64_t part = octet & 0x7fU;
    // The tenth octet holds one bit; and every value has exactly one encoding.
    if ((shift == 63 && part > 1) || (shift != 0 && octet == 0)) break;
    value |= part << shift;
    if ((octet & 0x80U) == 0) return value;
  }
  fail();
  return 0;
}

bool Decoder::boolean() {
  const std::uint8_t value = u8();
  if (value > 1) fail();
  return ok_ && value == 1;
}

std::string Decoder::string() {
  const std::uint64_t size = varint();
  if (size > in_.size()) {
    fail();
    return {};
  }
  return std::string(raw(static_cast<std::size_t>(size)));
}

QueueId Decoder::id() {
  QueueId value;
  const std::string_view octets = raw(value.octets.size());
  for (std::size_t i = 0; i < octets.size(); ++i) {
    value.octets[i] = static_cast<std::uint8_t>(octets[i]);
  }
  return value;
}

Time Decoder::time() { return Time(Duration(static_cast<Duration::rep>(u64()))); }

std::size_t Decoder::count() {
  const std::uint64_t value = varint();
  if (value > in_.size()) {
    fail();
    return 0;
  }
  return static_cast<std::size_t>(value);
}

// ---- stored values ----------------------------------------------------------------------------

void encode(Encoder& out, const Message& message) {
  MANSIO_ASSERT(message.lanes.size() == message.envelope.recipients.size());
  out.u8(message_version);
  out.id(message.id);
  put_envelope(out, message.envelope);
  put_lanes(out, message.lanes);
  put_content(out, message.content);
  out.time(message.accepted_at);
  out.time(message.expires_at);
  out.string(message.tenant);
  out.string(message.campaign);
  put_enumeration(out, message.klass);
  out.boolean(message.is_notice);
}

bool decode(Decoder& in, Message& message) {
  if (get_version(in, message_version) == 0) return false;
  message.id = in.id();
  message.envelope = get_envelope(in);
  message.lanes = get_lanes(in, message.envelope.recipients.size());
  message.content = get_content(in);
  message.accepted_at = in.time();
  message.expires_at = in.time();
  message.tenant = in.string();
  message.campaign = in.string();
  message.klass = get_enumeration(in, PriorityClass::low);
  message.is_notice = in.boolean();
  return in.ok();
}

void encode(Encoder& out, const RecipientStatus& status) {
  out.u8(status_version);
  put_enumeration(out, status.state);
  out.time(status.due);
  out.varint(status.tries);
  out.varint(status.retry_count);
  out.varint(status.delay_notices);
  out.time(status.last_attempt);
  encode(out, status.last);
}

bool decode(Decoder& in, RecipientStatus& status) {
  const std::uint8_t version = get_version(in, status_version);
  if (version == 0) return false;
  status.state = get_enumeration(in, RecipientState::moved);
  status.due = in.time();
  status.tries = get_varint32(in);
  status.retry_count = get_varint32(in);
  status.delay_notices = version >= 2 ? get_varint32(in) : 0;
  status.last_attempt = in.time();
  return decode(in, status.last);
}

void encode(Encoder& out, const Disposition& disposition) {
  out.u8(disposition_version);
  put_enumeration(out, disposition.outcome);
  out.varint(disposition.reply.code);
  out.u8(disposition.reply.enhanced.klass);
  out.varint(disposition.reply.enhanced.subject);
  out.varint(disposition.reply.enhanced.detail);
  out.string(disposition.reply.text);
  put_enumeration(out, disposition.stage);
  put_enumeration(out, disposition.cause);
  out.string(disposition.host);
  out.string(disposition.address);
  out.string(disposition.tls);
  out.u8(static_cast<std::uint8_t>(bit(disposition.counts_as_try, 0) |
                                   bit(disposition.peer_has_dsn, 1) |
                                   bit(disposition.in_doubt, 2)));
}

bool decode(Decoder& in, Disposition& disposition) {
  const auto varint16 = [&in] {
    const std::uint64_t value = in.varint();
    if (value > std::numeric_limits<std::uint16_t>::max()) in.fail();
    return in.ok() ? static_cast<std::uint16_t>(value) : std::uint16_t{0};
  };
  if (get_version(in, disposition_version) == 0) return false;
  disposition.outcome = get_enumeration(in, Outcome::expired);
  disposition.reply.code = varint16();
  disposition.reply.enhanced.klass = in.u8();
  disposition.reply.enhanced.subject = varint16();
  disposition.reply.enhanced.detail = varint16();
  disposition.reply.text = in.string();
  disposition.stage = get_enumeration(in, Stage::local);
  disposition.cause = get_enumeration(in, Cause::tries);
  disposition.host = in.string();
  disposition.address = in.string();
  disposition.tls = in.string();
  const std::uint8_t flags = get_flags(in, 0x07);
  disposition.counts_as_try = has_bit(flags, 0);
  disposition.peer_has_dsn = has_bit(flags, 1);
  disposition.in_doubt = has_bit(flags, 2);
  return in.ok();
}

}  // namespace mansio
