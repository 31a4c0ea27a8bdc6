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
  /// Not before this; a listing starts there, so it costs nothing to skip what is older.
  std::optional<Time> accepted_since;
  std::uint32_t tries_min = 0;
  std::uint32_t retries_min = 0;
  std::uint64_t size_min = 0;
  std::string subject;  ///< part of the subject, without case
  bool everything = false;

  bool selects_nothing() const;
};

/// Indexes of the recipients that match and are not final.
std::vector<std::uint32_t> matching(const Selector& selector, const StoredMessage& message);

}  // namespace mansio::spool
