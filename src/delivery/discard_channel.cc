#include "delivery/discard_channel.h"

#include <utility>

#include "delivery/attempt_log.h"

namespace mansio::delivery {

Task<SessionReport> DiscardChannel::run(SessionRequest, WorkSource& source) {
  SessionReport report;
  Disposition discarded;
  discarded.outcome = Outcome::delivered;
  discarded.stage = Stage::local;
  discarded.cause = Cause::policy;
  discarded.reply.code = 250;
  discarded.reply.enhanced = {2, 0, 0};
  discarded.reply.text = "discarded";
  while (std::unique_ptr<Work> work = source.next()) {
    std::vector<Disposition> dispositions(work->recipients().size(), discarded);
    for (const std::uint32_t recipient : work->recipients()) {
      log_attempt(work->message(), recipient, work->attempt(), discarded);
    }
    ++report.messages;
    source.finished(std::move(work), std::move(dispositions));
  }
  co_return report;
}

std::string DiscardChannel::describe(const std::string&) const { return "discard"; }

}  // namespace mansio::delivery
