// One run of an SmtpChannel: the state of one session and of the works it holds.
// Internal to delivery/.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "delivery/channel.h"
#include "delivery/connection.h"
#include "delivery/smtp_channel.h"
#include "smtp/client.h"

namespace mansio::delivery {

/// A work and what is known of its recipients. `place` is an index into work->recipients().
struct Job {
  std::unique_ptr<Work> work;
  std::vector<std::optional<Disposition>> results;  ///< by place
  std::vector<std::size_t> pending;                 ///< places that wait for a transaction
  std::vector<std::size_t> behind_dot;  ///< places whose final dot was written, not yet answered
  smtp::MailFacts facts;
  std::shared_ptr<const std::string> converted;  ///< content for a peer that lacks an extension

  bool untouched() const;
};

/// One transaction of a job.
struct Round {
  std::shared_ptr<Job> job;
  std::vector<std::size_t> places;
  std::optional<Envelope> marked;  ///< with a return path of ours; else the message's own is sent
  smtp::Transaction transaction;
};

class SmtpRun {
 public:
  SmtpRun(const SmtpChannelOptions& options, RouteSource& routes, ConnectionPorts ports,
          SessionRequest request, WorkSource& source);

  /// To the end of the session. Throws only what Asio throws on cancellation, and what other
  /// people's code throws.
  Task<void> go();
  /// After an exception: gives everything that is still held back to the lane. `stopped`: the
  /// session was cancelled, so that nothing is anybody's fault.
  void abandon(bool stopped, const std::string& why);

  SessionReport report;

 private:
  Task<bool> connect(Job& job);
  std::shared_ptr<Job> take();
  Task<bool> prepare(Job& job);
  std::unique_ptr<Round> make_round(const std::shared_ptr<Job>& job);
  Task<std::unique_ptr<Round>> choose_next(const Round& current);
  Task<void> transact(std::unique_ptr<Round> round);
  Task<bool> send_envelope(Round& round, bool already_queued);
  void settle_envelope(Round& round);
  void settle_final(Round& round);

  void settle(Job& job, std::size_t place, Event event);
  void settle_rest(Job& job, const Event& event);
  Event event_for(const smtp::Answer& answer) const;
  void finish(const std::shared_ptr<Job>& job);
  void put_back(const std::shared_ptr<Job>& job, const Event& reason);
  bool limit_reached() const;

  const SmtpChannelOptions& options_;
  RouteSource& routes_;
  ConnectionPorts ports_;
  SessionRequest request_;
  WorkSource& source_;

  Connected connected_;
  std::vector<std::shared_ptr<Job>> jobs_;  // held and not given back
  std::size_t recipients_max_ = 100;        // shrinks when the peer says "too many"
  std::uint64_t begun_ = 0;                 // messages begun on this connection
  std::uint64_t answered_ = 0;              // messages with an answer on this connection
  smtp::Answer last_word_;                  // the 421, once it came
  bool over_ = false;                       // the run ends: the session is of no use any more
  std::optional<Disposition> dead_;         // the destination takes no mail: all of it fails
  std::uint32_t failed_unsent_ = 0;         // messages that failed by it
};

}  // namespace mansio::delivery
