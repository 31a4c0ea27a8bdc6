#include "spool/file/unreadable_messages.h"

#include "base/log.h"
#include "spool/file/keys.h"

namespace mansio::spool {

void UnreadableMessages::note(const QueueId& id) {
  {
    const std::lock_guard lock(mutex_);
    if (!known_.insert(id).second) return;
  }
  log::error("message_unreadable").field("id", id.to_string());
  const auto copy = folder_ / ("message-" + id.to_string());
  auto there = files_.exists(copy);
  auto row = index_.stored(Family::messages, message_key(id));
  if (!there || *there || !row || !*row) return;
  // The copy is a convenience for repair; the row stays, so a failure loses nothing.
  if (auto done = replace_durably(files_, copy, **row); !done) {
    log::warning("quarantine_failed").field("file", copy.string());
  }
}

std::size_t UnreadableMessages::count() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

}  // namespace mansio::spool
