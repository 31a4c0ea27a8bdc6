#include "spool/spool.h"

namespace mansio::spool {
namespace {

// The base class has no virtual destructor by design: categories are never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class Category final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "spool"; }

  std::string message(int value) const override {
    switch (static_cast<Errc>(value)) {
      case Errc::missing:
        return "no such message in the spool";
      case Errc::corrupt:
        return "the stored octets are damaged";
      case Errc::io:
        return "the spool could not read or write";
      case Errc::stopped:
        return "the spool is stopped";
      case Errc::latched:
        return "the spool is latched after a failed write";
      case Errc::invalid:
        return "not a resume token of this spool";
    }
    return "unknown spool error";
  }
};

#pragma GCC diagnostic pop

}  // namespace

ErrorCode make_error_code(Errc error) {
  static const Category category;
  return {static_cast<int>(error), category};
}

const char* to_text(Verb verb) {
  switch (verb) {
    case Verb::make_due:
      return "make_due";
    case Verb::hold:
      return "hold";
    case Verb::release:
      return "release";
    case Verb::fail:
      return "fail";
    case Verb::remove:
      return "remove";
    case Verb::expire:
      return "expire";
    case Verb::move:
      return "move";
    case Verb::mark_in_doubt:
      return "mark_in_doubt";
    case Verb::quarantine:
      return "quarantine";
    case Verb::report_delay:
      return "report_delay";
  }
  return "unknown";
}

const char* to_text(Status status) {
  switch (status) {
    case Status::committed:
      return "committed";
    case Status::missing:
      return "missing";
    case Status::refused:
      return "refused";
    case Status::fenced:
      return "fenced";
    case Status::full:
      return "full";
    case Status::corrupt:
      return "corrupt";
    case Status::unknown:
      return "unknown";
  }
  return "unknown";
}

const char* to_text(EventKind kind) {
  switch (kind) {
    case EventKind::accepted:
      return "accepted";
    case EventKind::delivered:
      return "delivered";
    case EventKind::deferred:
      return "deferred";
    case EventKind::failed:
      return "failed";
    case EventKind::expired:
      return "expired";
    case EventKind::removed:
      return "removed";
    case EventKind::moved:
      return "moved";
    case EventKind::retried:
      return "retried";
    case EventKind::held:
      return "held";
    case EventKind::released:
      return "released";
    case EventKind::in_doubt:
      return "in_doubt";
    case EventKind::quarantined:
      return "quarantined";
    case EventKind::notice:
      return "notice";
    case EventKind::bounced:
      return "bounced";
  }
  return "unknown";
}

Totals& Totals::operator+=(const Totals& other) {
  accepted += other.accepted;
  delivered += other.delivered;
  failed += other.failed;
  expired += other.expired;
  removed += other.removed;
  moved += other.moved;
  queued += other.queued;
  held += other.held;
  in_doubt += other.in_doubt;
  quarantined += other.quarantined;
  messages += other.messages;
  octets += other.octets;
  return *this;
}

Totals& Totals::operator-=(const Totals& other) {
  accepted -= other.accepted;
  delivered -= other.delivered;
  failed -= other.failed;
  expired -= other.expired;
  removed -= other.removed;
  moved -= other.moved;
  queued -= other.queued;
  held -= other.held;
  in_doubt -= other.in_doubt;
  quarantined -= other.quarantined;
  messages -= other.messages;
  octets -= other.octets;
  return *this;
}

}  // namespace mansio::spool
