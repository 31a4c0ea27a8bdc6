#include "edge/admission.h"

namespace mansio::edge {

Readiness QueueAdmission::readiness() const {
  if (queue_.accepting()) return Readiness::ready;
  switch (queue_.spool().health()) {
    case spool::Health::latched:
      return Readiness::latched;
    case spool::Health::reserve:
      return Readiness::full;
    case spool::Health::ok:
      break;
  }
  return queue_.draining() ? Readiness::draining : Readiness::stopping;
}

QueueId QueueAdmission::new_id() { return queue_.new_id(); }

std::unique_ptr<spool::ContentWriter> QueueAdmission::open_content(const QueueId& content_id) {
  return queue_.open_content(content_id);
}

Task<Admitted> QueueAdmission::admit(Submission submission) {
  return queue_.admit(std::move(submission));
}

bool QueueAdmission::reserve_memory(std::uint64_t octets) { return queue_.reserve_memory(octets); }

void QueueAdmission::release_memory(std::uint64_t octets) { queue_.release_memory(octets); }

Task<KnownMessage> QueueAdmission::known(QueueId id) {
  KnownMessage known;
  auto reading = queue_.get(id);
  const Result<spool::StoredMessagePtr> stored = co_await std::move(reading);
  if (stored && *stored) {
    const Message& message = (*stored)->message;
    known.tenant = message.tenant;
    std::uint32_t index = 0;
    for (const Recipient& recipient : message.envelope.recipients) {
      known.recipients.emplace(index++, recipient.address.to_string());
    }
  }
  auto listing = queue_.history(id);
  const Result<std::vector<spool::HistoryEntry>> history = co_await std::move(listing);
  if (!history) co_return known;
  for (const spool::HistoryEntry& entry : *history) {
    if (entry.kind == spool::EventKind::bounced) {
      ++known.notices;
    } else if (entry.recipient && !entry.recipient_address.empty()) {
      known.recipients.emplace(*entry.recipient, entry.recipient_address);
    }
  }
  co_return known;
}

Task<spool::Status> QueueAdmission::record(spool::Record record) {
  return queue_.record(std::move(record));
}

}  // namespace mansio::edge
