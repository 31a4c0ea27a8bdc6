#include "message/footprint.h"

#include <string>

namespace mansio {
namespace {

/// What the allocator adds to a block.
constexpr std::size_t block = 16;

/// Outside of the object itself.
std::size_t outside(const std::string& text) {
  static const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() + block : 0;
}

std::size_t outside(const Address& address) {
  return outside(address.local) + outside(address.domain);
}

std::size_t outside(const Recipient& recipient) {
  return outside(recipient.address) + outside(recipient.original) +
         outside(recipient.original_recipient);
}

}  // namespace

std::size_t footprint(const Message& message) {
  const Envelope& envelope = message.envelope;
  const Origin& origin = envelope.origin;
  std::size_t octets = sizeof(Message) + 3 * block + outside(envelope.reverse_path) +
                       outside(envelope.envelope_id) + outside(origin.protocol) +
                       outside(origin.client_address) + outside(origin.client_name) +
                       outside(origin.tls) + outside(origin.user) + outside(message.tenant) +
                       outside(message.campaign) + outside(message.content.facts.subject);
  octets += envelope.recipients.capacity() * sizeof(Recipient);
  for (const Recipient& recipient : envelope.recipients) octets += outside(recipient);
  octets += message.lanes.capacity() * sizeof(LaneKey);
  for (const LaneKey& lane : message.lanes) {
    octets += outside(lane.destination) + outside(lane.binding);
  }
  if (message.content.octets) octets += message.content.octets->capacity() + 2 * block;
  return octets;
}

std::size_t footprint(const RecipientStatus& status) {
  const Disposition& last = status.last;
  return sizeof(RecipientStatus) + outside(last.reply.text) + outside(last.host) +
         outside(last.address) + outside(last.tls);
}

}  // namespace mansio
