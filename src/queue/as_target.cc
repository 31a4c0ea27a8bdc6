// A queue as the target of another queue (or of any program): the message is accepted as a new one.
#include <algorithm>
#include <utility>

#include "queue/queue_impl.h"

namespace mansio {
namespace {

Disposition accepted(Reply reply) {
  Disposition disposition;
  disposition.outcome = Outcome::delivered;
  disposition.reply = std::move(reply);
  disposition.stage = Stage::local;
  disposition.peer_has_dsn = true;  // this queue reports what becomes of it
  return disposition;
}

Disposition deferred(Reply reply) {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.reply = std::move(reply);
  disposition.stage = Stage::local;
  disposition.cause = Cause::local;
  disposition.counts_as_try = false;
  return disposition;
}

/// Nothing is durable before commit(), so everything up to there can be taken back.
class QueueDelivery final : public Delivery {
 public:
  QueueDelivery(Queue& queue, const Message& message) : queue_(queue) {
    submission_.envelope = message.envelope;
    submission_.envelope.recipients.clear();
    submission_.tenant = message.tenant;
    submission_.campaign = message.campaign;
    submission_.klass = message.klass;
    submission_.content = message.content;
    submission_.content.id = {};
  }

  Task<Disposition> add_recipient(const Recipient& recipient) override {
    submission_.envelope.recipients.push_back(recipient);
    co_return accepted({250, {2, 1, 5}, "Ok"});
  }

  Task<Disposition> body(ContentReader& content) override {
    if (auto octets = content.in_memory()) {
      submission_.content.octets = std::move(octets);
    } else {
      auto reading = read_all(content);
      Result<std::string> read = co_await std::move(reading);
      if (!read)
        co_return deferred({451, {4, 3, 0}, "content cannot be read: " + read.error().message()});
      submission_.content.octets = std::make_shared<const std::string>(std::move(*read));
    }
    // Whoever hands over need not have looked at the octets.
    ContentScanner scanner;
    scanner.feed(*submission_.content.octets);
    submission_.content.facts = scanner.finish();
    co_return accepted({250, {2, 0, 0}, "Ok"});
  }

  Task<Disposition> commit() override {
    auto admitting = queue_.admit(std::move(submission_));
    const Admitted admitted = co_await std::move(admitting);
    if (admitted.status == spool::Status::committed) {
      co_return accepted({250, {2, 0, 0}, "Ok: queued as " + admitted.id.to_string()});
    }
    Disposition disposition =
        deferred({452, {4, 3, 1}, "the queue did not take it: " + admitted.detail});
    disposition.in_doubt = admitted.status == spool::Status::unknown;
    co_return disposition;
  }

  Task<void> abort() override { co_return; }

 private:
  /// The content of a chained queue is read in pieces, but handed on as a whole.
  Task<Result<std::string>> read_all(ContentReader& content) {
    constexpr std::uint64_t piece = 1 << 20;
    std::string all;
    while (true) {
      auto reading = content.read(all.size(), piece);
      const Result<std::string> read = co_await std::move(reading);
      if (!read) co_return read.error();
      if (read->empty()) break;
      all += *read;
    }
    co_return all;
  }

  Queue& queue_;
  Submission submission_;
};

}  // namespace

Task<Started> Queue::start(const Message& message) {
  Started started;
  std::string reason;
  if (impl_->accepting(&reason)) {
    started.delivery = std::make_unique<QueueDelivery>(*this, message);
  } else {
    started.disposition = deferred({452, {4, 3, 1}, "the queue does not accept mail: " + reason});
  }
  co_return started;
}

}  // namespace mansio
