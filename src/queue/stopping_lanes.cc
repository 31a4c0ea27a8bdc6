// Suspending and resuming lanes, draining, and what is learned later about a message.
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "base/log.h"
#include "queue/queue_impl.h"

namespace mansio {
namespace {

/// After a spool that did not take the end of a suspension.
constexpr Duration try_again = std::chrono::seconds(10);

}  // namespace

std::shared_ptr<const queue::Suspensions> Queue::Impl::suspensions() const {
  const std::lock_guard lock(suspensions_mutex_);
  return suspensions_;
}

/// As the spool has them now; for every shard before it completes.
Task<void> Queue::Impl::spread_suspensions() {
  auto fresh = std::make_shared<const queue::Suspensions>(ports.spool.suspensions());
  {
    const std::lock_guard lock(suspensions_mutex_);
    suspensions_ = fresh;
  }
  for (const auto& shard : shards_) {
    std::function<bool()> take = [&shard = *shard, fresh] {
      shard.suspend(fresh);
      return true;
    };
    auto taking = queue::run_on(shard->loop(), std::move(take));
    co_await std::move(taking);
  }
}

/// One after the other, so that the end of one never takes away another that replaced it meanwhile.
/// On the first loop. `only_if_over`: it is refused if it is not, or not any more, over.
Task<spool::Status> Queue::Impl::change_suspension(spool::Suspend change, bool only_if_over) {
  struct Turn {
    explicit Turn(Impl& its_impl) : impl(its_impl) { impl.suspension_changes_ = true; }

    ~Turn() {
      impl.suspension_changes_ = false;
      impl.suspension_changed_->notify_all();
    }

    Impl& impl;
  };

  while (suspension_changes_) co_await suspension_changed_->wait();
  const Turn turn(*this);
  if (stopping_) co_return spool::Status::unknown;
  if (only_if_over) {
    bool over = false;
    for (const spool::Suspension& each : suspensions()->all()) {
      over = over || (each == change.suspension && queue::is_over(each, ports.clock.now()));
    }
    if (!over) co_return spool::Status::refused;
  }
  spool::Operation operation = std::move(change);
  auto performing = shards_.front()->gate().perform(std::move(operation));
  const spool::Answer answer = co_await std::move(performing);
  if (answer.status == spool::Status::committed) {
    auto spreading = spread_suspensions();
    co_await std::move(spreading);
  }
  co_return answer.status;
}

Task<spool::Status> Queue::Impl::change_suspension_in_turn(spool::Suspend change) {
  auto changing = change_suspension(std::move(change), false);
  auto running = boost::asio::co_spawn(ports.loops.front(), std::move(changing),
                                       boost::asio::use_awaitable);
  co_return co_await std::move(running);
}

Task<spool::Status> Queue::Impl::suspend(spool::Suspension suspension) {
  const Time now = ports.clock.now();
  suspension.destination = queue::canonical_destination(suspension.destination);
  if (suspension.since == Time{}) suspension.since = now;
  if (suspension.destination.empty() || queue::is_over(suspension, now)) {
    co_return spool::Status::refused;
  }
  spool::Suspend change;
  change.suspension = suspension;
  auto changing = change_suspension_in_turn(std::move(change));
  const spool::Status status = co_await std::move(changing);
  if (status == spool::Status::committed) {
    log::info("suspended")
        .field("destination", suspension.destination)
        .field("binding", suspension.binding)
        .field("until", suspension.until == Time{} ? "" : to_rfc3339(suspension.until))
        .field("reason", suspension.reason)
        .field("actor", suspension.actor);
  }
  co_return status;
}

Task<spool::Status> Queue::Impl::resume(std::string destination, std::string binding,
                                        std::string actor) {
  spool::Suspend change;
  change.suspension.destination = queue::canonical_destination(destination);
  change.suspension.binding = binding;
  change.resume = true;
  if (change.suspension.destination.empty()) co_return spool::Status::missing;
  auto changing = change_suspension_in_turn(std::move(change));
  const spool::Status status = co_await std::move(changing);
  if (status == spool::Status::committed) {
    log::info("resumed")
        .field("destination", destination)
        .field("binding", binding)
        .field("actor", actor);
  }
  co_return status;
}

/// Takes away what is over. The lanes do not wait for it: each wakes at its own time.
Task<void> Queue::Impl::watch_suspensions() {
  const auto timer = ports.clock.make_timer(ports.loops.front());
  Event& changed = *suspension_changed_;
  while (!stopping_) {
    bool failed = false;
    const auto known = suspensions();
    for (const spool::Suspension& suspension : known->all()) {
      if (!queue::is_over(suspension, ports.clock.now())) continue;
      spool::Suspend change;
      change.suspension = suspension;
      change.resume = true;
      auto changing = change_suspension(std::move(change), true);
      const spool::Status status = co_await std::move(changing);
      failed = failed || status == spool::Status::unknown || status == spool::Status::full;
      if (status != spool::Status::committed) continue;
      log::info("resumed")
          .field("destination", suspension.destination)
          .field("binding", suspension.binding)
          .field("actor", "engine");
    }
    const auto next = suspensions()->first_end();
    if (next || failed) {
      const Duration rest = failed ? try_again : *next - ports.clock.now();
      timer->start(ports.clock.steady_now() + std::max(rest, Duration::zero()),
                   [&changed] { changed.notify_all(); });
    } else {
      timer->cancel();
    }
    co_await changed.wait();
  }
}

std::vector<spool::Suspension> Queue::suspensions() const {
  std::vector<spool::Suspension> in_force = impl_->suspensions()->all();
  const Time now = impl_->ports.clock.now();
  std::erase_if(in_force, [now](const auto& each) { return queue::is_over(each, now); });
  return in_force;
}

// ---- draining ---------------------------------------------------------------------------------

void Queue::Impl::drain(bool on, std::string reason, const std::string& actor) {
  log::info(on ? "drain_begun" : "drain_ended").field("reason", reason).field("actor", actor);
  const std::lock_guard lock(drain_mutex_);
  drain_reason_.reset();
  if (on) drain_reason_ = std::move(reason);
}

/// Why nothing is accepted, while it drains.
std::optional<std::string> Queue::Impl::draining() const {
  const std::lock_guard lock(drain_mutex_);
  if (!drain_reason_) return std::nullopt;
  return drain_reason_->empty() ? "draining" : "draining: " + *drain_reason_;
}

// ---- what is learned later --------------------------------------------------------------------

Task<spool::Status> Queue::Impl::record(spool::Record record) {
  spool::Operation operation = std::move(record);
  auto performing = shards_.front()->gate().perform(std::move(operation));
  const spool::Answer answer = co_await std::move(performing);
  co_return answer.status;
}

// ---- the public face --------------------------------------------------------------------------

Task<spool::Status> Queue::suspend(spool::Suspension suspension) {
  return impl_->suspend(std::move(suspension));
}

Task<spool::Status> Queue::resume(std::string destination, std::string binding,
                                  std::string actor) {
  return impl_->resume(std::move(destination), std::move(binding), std::move(actor));
}

void Queue::drain(bool on, std::string reason, std::string actor) {
  impl_->drain(on, std::move(reason), actor);
}

bool Queue::draining() const { return impl_->draining().has_value(); }

Task<spool::Status> Queue::record(spool::Record record) {
  return impl_->record(std::move(record));
}

}  // namespace mansio
