#include "spool/selector.h"

#include <algorithm>

#include "base/text.h"
#include "spool/spool.h"

namespace mansio::spool {
namespace {

enum class Case { counts, ignored };

bool same_text(std::string_view a, std::string_view b, Case letters) {
  return letters == Case::counts ? a == b : equals_ignoring_case(a, b);
}

/// An empty pattern asks for nothing, so everything fits.
bool fits(std::string_view pattern, std::string_view text, Case letters) {
  if (pattern.empty()) return true;
  if (pattern.front() != '*') return same_text(pattern, text, letters);
  const std::string_view ending = pattern.substr(1);
  return text.size() >= ending.size() &&
         same_text(ending, text.substr(text.size() - ending.size()), letters);
}

bool fits_sender(std::string_view pattern, const Address& reverse_path) {
  if (pattern.empty()) return true;
  if (pattern == "<>") return reverse_path.is_null();
  return fits(pattern, reverse_path.to_string(), Case::ignored);
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return part.empty() || to_lower(text).find(to_lower(part)) != std::string::npos;
}

bool message_matches(const Selector& selector, const Message& message) {
  const auto& ids = selector.ids;
  if (!ids.empty() && std::find(ids.begin(), ids.end(), message.id) == ids.end()) return false;
  return fits_sender(selector.sender, message.envelope.reverse_path) &&
         fits(selector.tenant, message.tenant, Case::counts) &&
         message.content.facts.size >= selector.size_min &&
         (!selector.accepted_before || message.accepted_at < *selector.accepted_before) &&
         (!selector.accepted_since || message.accepted_at >= *selector.accepted_since) &&
         contains_ignoring_case(message.content.facts.subject, selector.subject);
}

bool recipient_matches(const Selector& selector, const StoredMessage& stored, std::size_t index) {
  const RecipientStatus& status = stored.recipients[index];
  const LaneKey& lane = stored.message.lanes[index];
  if (is_final(status.state) || (selector.state && status.state != *selector.state)) return false;
  if (status.tries < selector.tries_min || status.retry_count < selector.retries_min) return false;
  if (!fits(selector.destination, lane.destination, Case::ignored)) return false;
  if (!fits(selector.binding, lane.binding, Case::counts)) return false;
  return selector.recipient.empty() ||
         fits(selector.recipient, stored.message.envelope.recipients[index].address.to_string(),
              Case::ignored);
}

/// The smallest id that could be made then.
QueueId first_id_at(Time time) {
  QueueId id;
  const auto since = time.time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  if (milliseconds <= 0) return id;
  // The first 48 bits of an id are its time (base/id.h).
  if (milliseconds >> 48 != 0) {
    id.octets.fill(0xff);
    return id;
  }
  for (std::size_t i = 0; i < 6; ++i) {
    id.octets[i] = static_cast<std::uint8_t>(milliseconds >> (8 * (5 - i)) & 0xff);
  }
  return id;
}

}  // namespace

bool Selector::selects_nothing() const {
  return !everything && ids.empty() && destination.empty() && binding.empty() && sender.empty() &&
         recipient.empty() && tenant.empty() && !state && !accepted_before && !accepted_since &&
         tries_min == 0 && retries_min == 0 && size_min == 0 && subject.empty();
}

QueueId scan_start(const Selector& selector) {
  return selector.accepted_since ? first_id_at(*selector.accepted_since - arrival_max) : QueueId{};
}

std::optional<QueueId> scan_end(const Selector& selector) {
  if (!selector.accepted_before) return std::nullopt;
  return first_id_at(*selector.accepted_before + arrival_max);
}

std::vector<std::uint32_t> matching(const Selector& selector, const StoredMessage& message) {
  std::vector<std::uint32_t> indexes;
  if (selector.selects_nothing() || !message_matches(selector, message.message)) return indexes;
  for (std::size_t i = 0; i < message.recipients.size(); ++i) {
    if (recipient_matches(selector, message, i)) indexes.push_back(static_cast<std::uint32_t>(i));
  }
  return indexes;
}

}  // namespace mansio::spool
