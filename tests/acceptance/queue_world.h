// A queue with everything around it under a test's control: virtual time, a scripted target, and a
// spool that survives a restart of the queue.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "acceptance/failing_spool.h"
#include "base/event.h"
#include "queue/queue.h"
#include "testing/run.h"
#include "testing/scripted_target.h"
#include "testing/virtual_clock.h"

namespace mansio::acceptance {

enum class Backend { memory, file };

std::string to_text(Backend backend);

/// The spool of a backend, closed and opened again as often as a test wants.
class SpoolHouse {
 public:
  SpoolHouse(Backend backend, Clock& clock);
  ~SpoolHouse();
  std::unique_ptr<spool::Spool> open();

  bool is_file() const { return backend_ == Backend::file; }

  /// Damages the stored record or content of a message; no spool may be open.
  void corrupt_record(const QueueId& id);
  void corrupt_content(const QueueId& id);

 private:
  struct Stores;
  Backend backend_;
  Clock& clock_;
  std::unique_ptr<Stores> stores_;
};

struct WorldOptions {
  Backend backend = Backend::memory;
  settings::Retry retry{};
  std::uint64_t seed = 1;
  settings::Notify notify{};
  /// Makes the site's builder of notices; absent: the engine's own.
  std::function<std::unique_ptr<dsn::BounceBuilder>()> bounce_builder{};
  /// What the scripted target counts as: "smtp" passes mail on, "lmtp" is the end of its way.
  std::string channel_type = "lmtp";
};

/// Retries without delay and without jitter, five tries: the setting of the acceptance cases.
settings::Retry immediate_retries(std::uint32_t tries_max = 5);

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();

  /// Accepts a message; the answer is what an edge would get.
  Admitted submit(Envelope envelope, const std::string& content);
  Admitted submit(const std::string& sender, const std::vector<std::string>& recipients,
                  const std::string& content = "Subject: test\r\n\r\nbody\r\n");
  /// Lets everything happen that needs no time to pass.
  void settle();
  /// Lets time pass until `done`, at most `limit` of virtual time. False if it never came true.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::hours(24 * 30));

  /// Until nothing is queued.
  bool run_until_empty() {
    return run_until([this] { return totals().queued == 0; });
  }

  void pass(Duration duration);

  /// Stops queue and spool in order, and opens both again.
  void restart();
  /// Takes settings() for everything that follows.
  void reload();
  void stop();
  void start();

  template <class T>
  T wait(Task<T> task);

  spool::Totals totals() const {
    return spool_->totals().empty() ? spool::Totals{} : queue_->totals();
  }

  spool::StoredMessagePtr stored(const QueueId& id);
  std::vector<spool::HistoryEntry> history(const QueueId& id);
  std::vector<QueueId> ids();

  fake::ScriptedTarget& target() { return *target_; }

  fake::VirtualClock& clock() { return clock_; }

  FailingSpool& spool() { return *spool_; }

  Queue& queue() { return *queue_; }

  SpoolHouse& house() { return *house_; }

  settings::Settings& settings() { return settings_; }

  boost::asio::io_context& context() { return context_; }

 private:
  fake::VirtualClock clock_;
  boost::asio::io_context context_;
  settings::Settings settings_;
  std::uint64_t seed_;
  std::function<std::unique_ptr<dsn::BounceBuilder>()> bounce_builder_;
  std::shared_ptr<fake::ScriptedTarget> target_;
  std::unique_ptr<SpoolHouse> house_;
  std::unique_ptr<FailingSpool> spool_;
  std::unique_ptr<Queue> queue_;
};

template <class T>
T World::wait(Task<T> task) {
  const auto outcome = std::make_shared<fake::RunState<T>>();
  boost::asio::co_spawn(context_, fake::keep_outcome<T>(std::move(task), outcome),
                        [outcome](std::exception_ptr failure) {
                          outcome->failure = failure;
                          outcome->done = true;
                        });
  const bool ended = run_until([outcome] { return outcome->done; });
  if (!ended) throw std::runtime_error("the task waits for something that never comes");
  if (outcome->failure) std::rethrow_exception(outcome->failure);
  return std::move(*outcome->value);
}

}  // namespace mansio::acceptance
