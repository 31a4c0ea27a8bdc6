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
  return Readiness::stopping;
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

}  // namespace mansio::edge
