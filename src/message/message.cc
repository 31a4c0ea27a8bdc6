#include "message/message.h"

#include "base/checksum.h"

namespace mansio {

const char* to_text(PriorityClass klass) {
  switch (klass) {
    case PriorityClass::deadline:
      return "deadline";
    case PriorityClass::high:
      return "high";
    case PriorityClass::normal:
      return "normal";
    case PriorityClass::low:
      return "low";
  }
  return "unknown";
}

const char* to_text(RecipientState state) {
  switch (state) {
    case RecipientState::queued:
      return "queued";
    case RecipientState::held:
      return "held";
    case RecipientState::in_doubt:
      return "in_doubt";
    case RecipientState::quarantined:
      return "quarantined";
    case RecipientState::delivered:
      return "delivered";
    case RecipientState::failed:
      return "failed";
    case RecipientState::expired:
      return "expired";
    case RecipientState::removed:
      return "removed";
    case RecipientState::moved:
      return "moved";
  }
  return "unknown";
}

bool is_final(RecipientState state) {
  switch (state) {
    case RecipientState::queued:
    case RecipientState::held:
    case RecipientState::in_doubt:
    case RecipientState::quarantined:
      return false;
    case RecipientState::delivered:
    case RecipientState::failed:
    case RecipientState::expired:
    case RecipientState::removed:
    case RecipientState::moved:
      return true;
  }
  return false;
}

std::uint32_t flow_of(const Message& message) {
  // The separator keeps ("ab", "c") and ("a", "bc") apart. Stored in keys: never change it.
  std::string name = message.tenant;
  name.push_back('\0');
  name += message.campaign;
  const std::uint64_t hash = stable_hash(name);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace mansio
