#include "delivery/return_paths.h"

#include "base/assert.h"

namespace mansio::delivery {

bool one_transaction_each(const ReturnPaths& paths, const Message& message) {
  return paths.reverse_path && !message.envelope.reverse_path.is_null();
}

std::optional<Envelope> marked_envelope(const ReturnPaths& paths, const Message& message,
                                        const std::vector<std::uint32_t>& recipients,
                                        bool peer_has_dsn) {
  const Envelope& sent = message.envelope;
  if (sent.reverse_path.is_null() || recipients.empty()) return std::nullopt;
  const bool alone = one_transaction_each(paths, message);
  const bool identified = paths.envelope_id && sent.envelope_id.empty() && peer_has_dsn;
  if (!alone && !identified) return std::nullopt;
  MANSIO_ASSERT(!alone || recipients.size() == 1);
  Envelope own;
  own.body = sent.body;
  own.smtputf8 = sent.smtputf8;
  own.dsn_return = sent.dsn_return;
  own.origin = sent.origin;
  own.reverse_path = alone ? paths.reverse_path(message.id, recipients.front()) : sent.reverse_path;
  own.envelope_id = sent.envelope_id;
  if (identified) {
    std::optional<std::uint32_t> only;
    if (recipients.size() == 1) only = recipients.front();
    own.envelope_id = paths.envelope_id(message.id, only);
  }
  for (const std::uint32_t index : recipients) {
    own.recipients.push_back(sent.recipients.at(index));
  }
  return own;
}

}  // namespace mansio::delivery
