// A target whose answers a test writes beforehand, and which remembers all that it was given.
// One ScriptedAttempt per start(), in order; when the script is used up, everything is delivered.
//
//   target.add({.recipients = {{"b@example.org", refuse(451, "4.2.1", "later")}}});
//
// Thread safety: any thread (deliveries may run on several loops).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "mansio/target.hpp"

namespace mansio::fake {

/// A positive disposition, "250 2.0.0 ok".
Disposition accept();
/// Deferred for a code of 4yz, failed for 5yz; by a peer's reply, so it counts as a try.
Disposition refuse(std::uint16_t code, std::string_view enhanced, std::string_view text);

/// What the target answers in one delivery. Absent: accepted.
struct ScriptedAttempt {
  std::optional<Disposition> start{};
  std::map<std::string, Disposition> recipients{};  ///< by address
  std::optional<Disposition> body{};
  /// Present: the target reports a status per accepted recipient, and these are they, in the order
  /// of acceptance. Fewer than accepted: the rest is left out on purpose.
  std::optional<std::vector<Disposition>> statuses{};
  /// As `statuses`, by address; an address that is not named is delivered.
  std::optional<std::map<std::string, Disposition>> statuses_by_address{};
  std::optional<Disposition> commit{};
  /// Not empty: start() throws std::runtime_error with this text.
  std::string throws{};
  /// Awaited before the answer to the body; lets a test hold a delivery in flight.
  std::function<Task<void>()> before_body_answer{};
};

/// One start() and what followed.
struct RecordedDelivery {
  QueueId id;
  Address reverse_path;
  std::vector<std::string> offered;   ///< every add_recipient()
  std::vector<std::string> accepted;  ///< those answered positively
  bool body_sent = false;
  std::string content;
  bool committed = false;
  bool aborted = false;
  Envelope envelope;
};

class ScriptedTarget final : public Target {
 public:
  ScriptedTarget();
  ~ScriptedTarget() override;

  void add(ScriptedAttempt attempt);
  /// What every delivery after the end of the script answers.
  void set_default(ScriptedAttempt attempt);

  Task<Started> start(const Message& message) override;

  /// A copy of all deliveries so far, those that still run included.
  std::vector<RecordedDelivery> deliveries() const;
  std::size_t size() const;
  /// How often the address was in a delivery that ended well for it: committed, and its own status
  /// positive.
  std::size_t times_delivered(const std::string& address) const;

 private:
  class ScriptedDelivery;
  struct State;
  std::shared_ptr<State> state_;  // shared with the deliveries
};

}  // namespace mansio::fake
