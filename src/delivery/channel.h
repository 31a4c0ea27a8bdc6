// A channel is a named way out. The queue opens a session on it for a lane; the session asks the
// lane for work until there is none, and gives back one disposition per recipient.
// Implementations: SmtpChannel (SMTP and LMTP), TargetChannel (any mansio::Target).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "mansio/target.hpp"
#include "message/message.h"

namespace mansio::delivery {

/// Recipients of one message that share a transaction: the unit that a session works on.
class Work {
 public:
  virtual ~Work() = default;

  const Message& message() const { return *message_; }

  const std::vector<std::uint32_t>& recipients() const { return recipients_; }

  /// Tries of the first recipient so far.
  std::uint32_t attempt() const { return attempt_; }

  virtual ContentReader& content() = 0;
  /// To be called before the first octet that could make the peer accept the message is written
  /// (the final dot; for pipelined bodies, the write that carries it).
  /// Throws std::runtime_error when the attempt cannot be marked as in_doubt = "hold" wants it:
  /// then nothing of it may be sent. A channel lets it pass or defers for a local cause.
  virtual void before_final_dot() = 0;

 protected:
  std::shared_ptr<const Message> message_;
  std::vector<std::uint32_t> recipients_;
  std::uint32_t attempt_ = 0;
};

/// The lane, as one session sees it. Runs on: the loop of the session.
class WorkSource {
 public:
  virtual ~WorkSource() = default;
  /// The next work, or null: nothing is due now, or the session's limits are reached.
  virtual std::unique_ptr<Work> next() = 0;
  /// Waits for work while the connection is kept for reuse. False: the time is over, or stop.
  virtual Task<bool> wait(Duration at_most) = 0;
  /// The attempt is over. One disposition per recipient, in the order of work->recipients();
  /// missing ones are deferred and counted as faults.
  virtual void finished(std::unique_ptr<Work> work, std::vector<Disposition> dispositions) = 0;
  /// Nothing of it reached the peer (a stale connection, a stop): due at once, no try counted.
  virtual void put_back(std::unique_ptr<Work> work) = 0;
};

/// The local identity of a session.
struct Binding {
  std::string name = "default";
  std::string source;  ///< local address, empty: the system's choice
  std::string ehlo;    ///< FQDN or address literal
};

struct SessionRequest {
  LaneKey lane;
  Binding binding;
  std::uint32_t messages_max = 0;      ///< per connection; 0: no limit
  std::uint32_t recipients_max = 100;  ///< per transaction
};

/// What a session found out about the destination, beyond single messages.
struct SessionReport {
  /// Set when no host could be used (connect, greeting, EHLO, TLS, AUTH, DNS): the lane is delayed,
  /// and the work that found it out gets this disposition. Unset: a session was established.
  std::optional<Disposition> trouble;
  std::uint64_t messages = 0;
};

class Channel {
 public:
  virtual ~Channel() = default;
  /// Runs one session to its end. Returns when the source has no more work and the connection was
  /// closed. Never throws for what the world does.
  virtual Task<SessionReport> run(SessionRequest request, WorkSource& source) = 0;
  /// The host names that `run` would use for a destination, for people.
  virtual std::string describe(const std::string& destination) const = 0;
};

}  // namespace mansio::delivery
