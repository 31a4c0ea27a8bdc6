// Reverse-paths and ENVIDs of our own on what is sent, so that the notices of other servers come
// back to us and name the message (VERP; RFC 3461 §4.4). What they look like is the caller's
// business. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "message/message.h"

namespace mansio::delivery {

/// Either may be empty: then the sender's stays.
struct ReturnPaths {
  /// The reverse-path for a recipient: its index in the envelope.
  std::function<Address(const QueueId& id, std::uint32_t recipient)> reverse_path;
  /// The ENVID, as xtext; without a recipient: for all of the message.
  std::function<std::string(const QueueId& id, std::optional<std::uint32_t> recipient)> envelope_id;
};

/// True if each recipient needs a transaction of its own. Mail with the null reverse-path keeps it
/// (RFC 5321 §4.5.5): nothing comes back for it.
bool one_transaction_each(const ReturnPaths& paths, const Message& message);

/// The envelope to send these recipients with, reduced to them, in their order; nullopt: the
/// message's own will do. An ENVID that the sender gave stays. `peer_has_dsn`: it will take an
/// ENVID. REQUIRES: one recipient if one_transaction_each().
std::optional<Envelope> marked_envelope(const ReturnPaths& paths, const Message& message,
                                        const std::vector<std::uint32_t>& recipients,
                                        bool peer_has_dsn);

}  // namespace mansio::delivery
