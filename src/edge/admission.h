// What the listeners need of the queue: a narrow seam, so that they are tested without one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "queue/queue.h"

namespace mansio::edge {

enum class Readiness : std::uint8_t {
  ready,
  full,      ///< no room: come back later
  latched,   ///< the store failed: nothing is taken until a restart
  draining,  ///< an operator wants nothing new here
  stopping,
};

/// What is known of a message that may be gone by now.
struct KnownMessage {
  std::string tenant = "default";
  std::map<std::uint32_t, std::string> recipients;  ///< addresses by index, as far as known
  std::size_t notices = 0;                          ///< of other servers, in its history
};

/// Thread safety: every function from any loop.
class Admission {
 public:
  virtual ~Admission() = default;
  virtual Readiness readiness() const = 0;
  virtual QueueId new_id() = 0;
  virtual std::unique_ptr<spool::ContentWriter> open_content(const QueueId& content_id) = 0;
  virtual Task<Admitted> admit(Submission submission) = 0;
  /// As of Queue: content held in memory by a listener counts until its admit has completed.
  virtual bool reserve_memory(std::uint64_t octets) = 0;
  virtual void release_memory(std::uint64_t octets) = 0;

  /// From the spool and the history; nothing is known of a message that never was.
  virtual Task<KnownMessage> known(QueueId id) = 0;
  /// Completes when it is durable or refused.
  virtual Task<spool::Status> record(spool::Record record) = 0;
};

class QueueAdmission final : public Admission {
 public:
  /// `queue` must outlive it.
  explicit QueueAdmission(Queue& queue) : queue_(queue) {}

  Readiness readiness() const override;
  QueueId new_id() override;
  std::unique_ptr<spool::ContentWriter> open_content(const QueueId& content_id) override;
  Task<Admitted> admit(Submission submission) override;
  bool reserve_memory(std::uint64_t octets) override;
  void release_memory(std::uint64_t octets) override;
  Task<KnownMessage> known(QueueId id) override;
  Task<spool::Status> record(spool::Record record) override;

 private:
  Queue& queue_;
};

}  // namespace mansio::edge
