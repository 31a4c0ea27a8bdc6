#include "message/dropped_message.h"

#include <algorithm>

#include "base/assert.h"
#include "base/checksum.h"
#include "message/codec.h"

namespace mansio {
namespace {

constexpr std::string_view magic = "MANSIOMD";
constexpr std::uint32_t format = 1;
constexpr std::size_t checksum_at = drop_prefix_size - 4;
constexpr std::uint64_t content_max = 1ull << 40;
constexpr std::size_t envelope_id_max = 100;         // RFC 3461 §4.4
constexpr std::size_t original_recipient_max = 500;  // RFC 3461 §4.2

// Bits of NOTIFY.
constexpr unsigned present = 1, never = 2, success = 4, failure = 8, delay = 16, all_bits = 31;

std::uint8_t bits_of(const DsnNotify& notify) {
  return static_cast<std::uint8_t>((notify.present ? present : 0) | (notify.never ? never : 0) |
                                   (notify.success ? success : 0) | (notify.failure ? failure : 0) |
                                   (notify.delay ? delay : 0));
}

DsnNotify notify_of(unsigned bits) {
  DsnNotify notify;
  notify.present = (bits & present) != 0;
  notify.never = (bits & never) != 0;
  notify.success = (bits & success) != 0;
  notify.failure = (bits & failure) != 0;
  notify.delay = (bits & delay) != 0;
  return notify;
}

/// What may stand as the value of a parameter (RFC 5321 §4.1.2, esmtp-value).
bool is_parameter_value(std::string_view text, std::size_t size_max) {
  return text.size() <= size_max && std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c < 127 && c != '=';
         });
}

std::uint32_t checksum_of(std::string_view prefix, std::string_view head) {
  return crc32c(head, crc32c(prefix.substr(0, checksum_at)));
}

bool decode_recipient(Decoder& in, Recipient& recipient) {
  const auto address = Address::parse(in.string(), true);
  const unsigned bits = in.u8();
  recipient.original_recipient = in.string();
  if (!in.ok() || !address || address->is_null() || bits > all_bits) return false;
  recipient.address = recipient.original = *address;
  recipient.notify = notify_of(bits);
  return is_parameter_value(recipient.original_recipient, original_recipient_max);
}

bool decode_envelope(Decoder& in, Envelope& envelope) {
  const std::string sender = in.string();
  if (!sender.empty()) {
    const auto address = Address::parse(sender, true);
    if (!address) return false;
    envelope.reverse_path = *address;
  }
  const unsigned body = in.u8();
  envelope.smtputf8 = in.boolean();
  const unsigned dsn_return = in.u8();
  envelope.envelope_id = in.string();
  const std::size_t count = in.count();
  if (!in.ok() || body > static_cast<unsigned>(BodyType::eight_bit_mime) ||
      dsn_return > static_cast<unsigned>(DsnReturn::headers) || count == 0 ||
      count > drop_recipients_max || !is_parameter_value(envelope.envelope_id, envelope_id_max)) {
    return false;
  }
  envelope.body = static_cast<BodyType>(body);
  envelope.dsn_return = static_cast<DsnReturn>(dsn_return);
  envelope.recipients.resize(count);
  const bool sound = std::all_of(envelope.recipients.begin(), envelope.recipients.end(),
                                 [&](Recipient& each) { return decode_recipient(in, each); });
  if (!sound || !in.ok() || !in.at_end()) return false;
  envelope.smtputf8 = envelope.smtputf8 || envelope.reverse_path.needs_utf8() ||
                      std::any_of(envelope.recipients.begin(), envelope.recipients.end(),
                                  [](const Recipient& each) { return each.address.needs_utf8(); });
  return true;
}

}  // namespace

std::string encode_drop_head(const Envelope& envelope, std::uint64_t content_size) {
  const std::size_t count = envelope.recipients.size();
  MANSIO_ASSERT(count > 0 && count <= drop_recipients_max);
  Encoder head;
  head.string(envelope.reverse_path.to_string());
  head.u8(static_cast<std::uint8_t>(envelope.body));
  head.boolean(envelope.smtputf8);
  head.u8(static_cast<std::uint8_t>(envelope.dsn_return));
  head.string(envelope.envelope_id);
  head.varint(count);
  for (const Recipient& recipient : envelope.recipients) {
    head.string(recipient.address.to_string());
    head.u8(bits_of(recipient.notify));
    head.string(recipient.original_recipient);
  }
  MANSIO_ASSERT(head.size() <= drop_head_max);
  Encoder out;
  out.raw(magic);
  out.u32(format);
  out.u32(static_cast<std::uint32_t>(head.size()));
  out.u64(content_size);
  out.u32(checksum_of(out.octets(), head.octets()));
  out.raw(head.octets());
  return std::move(out).octets();
}

std::string encode_drop_checksum(std::uint32_t content_checksum) {
  Encoder out;
  out.u32(content_checksum);
  return std::move(out).octets();
}

std::optional<DropPrefix> parse_drop_prefix(std::string_view octets, std::string& why) {
  Decoder in(octets);
  if (in.raw(magic.size()) != magic) {
    why = "no message of ours";
    return std::nullopt;
  }
  if (const std::uint32_t version = in.u32(); version != format) {
    why = "format " + std::to_string(version) + " is not known";
    return std::nullopt;
  }
  DropPrefix prefix;
  prefix.head_size = in.u32();
  prefix.content_size = in.u64();
  in.u32();
  if (!in.ok() || prefix.head_size > drop_head_max || prefix.content_size > content_max) {
    why = "damaged";
    return std::nullopt;
  }
  return prefix;
}

std::optional<Envelope> decode_drop_head(std::string_view octets, std::string& why) {
  why = "damaged";
  const auto prefix = parse_drop_prefix(octets, why);
  if (!prefix || octets.size() != drop_prefix_size + prefix->head_size) return std::nullopt;
  const std::string_view head = octets.substr(drop_prefix_size);
  if (decode_drop_checksum(octets.substr(checksum_at)) != checksum_of(octets, head)) {
    return std::nullopt;
  }
  Decoder in(head);
  Envelope envelope;
  if (!decode_envelope(in, envelope)) {
    why = "the envelope holds what no mail can have";
    return std::nullopt;
  }
  why.clear();
  return envelope;
}

std::uint32_t decode_drop_checksum(std::string_view octets) { return Decoder(octets).u32(); }

}  // namespace mansio
