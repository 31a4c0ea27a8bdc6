// Which messages and recipients an operator means. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "message/message.h"

namespace mansio::spool {

struct StoredMessage;

/// All given conditions must hold for one recipient (and its message). Empty: nothing is selected
/// unless `everything`. Patterns: exact, or with a leading "*" the end of the text. Domains and
/// addresses compare without case.
struct Selector {
  std::vector<QueueId> ids;
  std::string destination;
  std::string binding;
  std::string sender;  ///< reverse-path; "<>" for the null path
  std::string recipient;
  std::string tenant;
  std::optional<RecipientState> state;  ///< durable states only; queue/ adds the living ones
  std::optional<Time> accepted_before;
  /// Not before this; a listing starts there, so it costs nothing to skip what is older. Mail
  /// whose id was made more than arrival_max before it was accepted is not found so.
  std::optional<Time> accepted_since;
  std::uint32_t tries_min = 0;
  std::uint32_t retries_min = 0;
  std::uint64_t size_min = 0;
  std::string subject;  ///< part of the subject, without case
  bool everything = false;

  bool selects_nothing() const;
};

/// How long a message may take to arrive: ids are made when it begins to, accepted_at when it is
/// in.
inline constexpr Duration arrival_max = std::chrono::hours(1);

/// Where a listing begins: no message that the selector can match has a smaller id.
QueueId scan_start(const Selector& selector);

/// Where it ends: behind the ids of everything that was accepted before accepted_before. Null: at
/// the end. Mail that was accepted while the clock stood more than arrival_max before where it had
/// been is found when that time has come again.
std::optional<QueueId> scan_end(const Selector& selector);

/// Indexes of the recipients that match and are not final.
std::vector<std::uint32_t> matching(const Selector& selector, const StoredMessage& message);

}  // namespace mansio::spool
