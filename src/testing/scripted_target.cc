#include "testing/scripted_target.h"

#include <deque>
#include <stdexcept>
#include <utility>

namespace mansio::fake {

Disposition accept() {
  Disposition disposition;
  disposition.outcome = Outcome::delivered;
  disposition.reply.code = 250;
  disposition.reply.enhanced = {2, 0, 0};
  disposition.reply.text = "ok";
  disposition.stage = Stage::final_dot;
  disposition.host = "scripted.example";
  return disposition;
}

Disposition refuse(std::uint16_t code, std::string_view enhanced, std::string_view text) {
  Disposition disposition;
  disposition.outcome = code >= 500 ? Outcome::failed : Outcome::deferred;
  disposition.reply.code = code;
  disposition.reply.enhanced = EnhancedCode::parse(enhanced).value_or(EnhancedCode{});
  disposition.reply.text = std::string(text);
  disposition.stage = Stage::rcpt;
  disposition.host = "scripted.example";
  return disposition;
}

struct ScriptedTarget::State {
  mutable std::mutex mutex;
  std::deque<ScriptedAttempt> script;
  ScriptedAttempt fallback;
  std::deque<RecordedDelivery> deliveries;
  std::map<std::string, std::size_t> delivered;
};

class ScriptedTarget::ScriptedDelivery final : public Delivery {
 public:
  ScriptedDelivery(std::shared_ptr<State> state, ScriptedAttempt attempt, std::size_t index)
      : state_(std::move(state)), attempt_(std::move(attempt)), index_(index) {}

  Task<Disposition> add_recipient(const Recipient& recipient) override {
    const std::string address = recipient.address.to_string();
    const auto scripted = attempt_.recipients.find(address);
    Disposition answer = scripted == attempt_.recipients.end() ? accept() : scripted->second;
    const std::lock_guard lock(state_->mutex);
    RecordedDelivery& record = state_->deliveries[index_];
    record.offered.push_back(address);
    if (answer.outcome == Outcome::delivered) record.accepted.push_back(address);
    co_return answer;
  }

  Task<Disposition> body(ContentReader& content) override {
    auto taking = take(content);
    const bool taken = co_await std::move(taking);
    Disposition answer = taken ? attempt_.body.value_or(accept()) : unreadable();
    body_delivered_ = answer.outcome == Outcome::delivered;
    co_return answer;
  }

  bool has_status() const override {
    return attempt_.statuses.has_value() || attempt_.statuses_by_address.has_value();
  }

  Task<std::vector<Disposition>> body_with_status(ContentReader& content) override {
    auto taking = take(content);
    if (!co_await std::move(taking)) co_return statuses_;
    if (attempt_.statuses) {
      statuses_ = *attempt_.statuses;
    } else {
      const std::lock_guard lock(state_->mutex);
      for (const std::string& address : state_->deliveries[index_].accepted) {
        const auto scripted = attempt_.statuses_by_address->find(address);
        statuses_.push_back(scripted == attempt_.statuses_by_address->end() ? accept()
                                                                            : scripted->second);
      }
    }
    co_return statuses_;
  }

  Task<Disposition> commit() override {
    Disposition answer = attempt_.commit.value_or(accept());
    const std::lock_guard lock(state_->mutex);
    RecordedDelivery& record = state_->deliveries[index_];
    record.committed = true;
    if (answer.outcome == Outcome::delivered) {
      for (std::size_t i = 0; i < record.accepted.size(); ++i) {
        const bool good = has_status()
                              ? i < statuses_.size() && statuses_[i].outcome == Outcome::delivered
                              : body_delivered_;
        if (good) ++state_->delivered[record.accepted[i]];
      }
    }
    co_return answer;
  }

  Task<void> abort() override {
    const std::lock_guard lock(state_->mutex);
    state_->deliveries[index_].aborted = true;
    co_return;
  }

 private:
  /// False: the content could not be read, so nothing of it counts.
  Task<bool> take(ContentReader& content) {
    std::string octets;
    if (const auto all = content.in_memory()) {
      octets = *all;
    } else {
      constexpr std::uint64_t piece_size = 4096;
      for (;;) {
        Result<std::string> piece = co_await content.read(octets.size(), piece_size);
        if (!piece) co_return false;
        if (piece->empty()) break;
        octets += *piece;
      }
    }
    {
      const std::lock_guard lock(state_->mutex);
      RecordedDelivery& record = state_->deliveries[index_];
      record.body_sent = true;
      record.content = std::move(octets);
    }
    if (attempt_.before_body_answer) co_await attempt_.before_body_answer();
    co_return true;
  }

  static Disposition unreadable() {
    Disposition disposition;
    disposition.outcome = Outcome::deferred;
    disposition.reply = {451, {4, 3, 0}, "the content cannot be read"};
    disposition.stage = Stage::local;
    disposition.cause = Cause::local;
    disposition.counts_as_try = false;
    return disposition;
  }

  std::shared_ptr<State> state_;
  ScriptedAttempt attempt_;
  std::size_t index_;
  bool body_delivered_ = false;
  std::vector<Disposition> statuses_;
};

ScriptedTarget::ScriptedTarget() : state_(std::make_shared<State>()) {}

ScriptedTarget::~ScriptedTarget() = default;

void ScriptedTarget::add(ScriptedAttempt attempt) {
  const std::lock_guard lock(state_->mutex);
  state_->script.push_back(std::move(attempt));
}

void ScriptedTarget::set_default(ScriptedAttempt attempt) {
  const std::lock_guard lock(state_->mutex);
  state_->fallback = std::move(attempt);
}

Task<Started> ScriptedTarget::start(const Message& message) {
  ScriptedAttempt attempt;
  std::size_t index = 0;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->script.empty()) {
      attempt = state_->fallback;
    } else {
      attempt = std::move(state_->script.front());
      state_->script.pop_front();
    }
    RecordedDelivery record;
    record.id = message.id;
    record.reverse_path = message.envelope.reverse_path;
    record.envelope = message.envelope;
    index = state_->deliveries.size();
    state_->deliveries.push_back(std::move(record));
  }
  if (!attempt.throws.empty()) throw std::runtime_error(attempt.throws);
  Started started;
  if (attempt.start) {
    started.disposition = *attempt.start;
  } else {
    started.delivery = std::make_unique<ScriptedDelivery>(state_, std::move(attempt), index);
  }
  co_return started;
}

std::vector<RecordedDelivery> ScriptedTarget::deliveries() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->deliveries.begin(), state_->deliveries.end()};
}

std::size_t ScriptedTarget::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->deliveries.size();
}

std::size_t ScriptedTarget::times_delivered(const std::string& address) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->delivered.find(address);
  return found == state_->delivered.end() ? 0 : found->second;
}

}  // namespace mansio::fake
