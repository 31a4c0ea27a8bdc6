// Decides for one client what the protocol leaves open: who may relay, whether there is room, and
// where the content goes.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "edge/admission.h"
#include "edge/bounce_desk.h"
#include "edge/edge_statistics.h"
#include "smtp/server.h"

namespace mansio::edge {

/// What connections of one listener share. Immutable; a reload makes a new one.
struct Profile {
  smtp::ServerOptions options;
  std::shared_ptr<TlsContext> tls;  ///< keeps options.tls
  std::vector<std::string> relay_from;
  std::uint64_t content_in_memory = 0;
  std::shared_ptr<const BounceDesk> bounces;  ///< null: no domain for notices
};

/// What all connections share. Outlives them.
struct EdgeState {
  EdgeStatistics statistics;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> connections_max{0};
};

/// Functions to call when the server ends. Runs on: one loop.
using WakeList = std::list<std::function<void()>>;

/// True if a client at `peer` may send mail anywhere: its address lies in relay_from, or it came
/// over a Unix socket, where the permissions of the file decide.
bool may_relay(const Profile& profile, const Endpoint& peer, const Endpoint& local);

/// Runs on: the connection's loop.
class ClientHandler final : public smtp::ServerHandler {
 public:
  /// `credentials`: of a client on a Unix socket.
  ClientHandler(Admission& admission, Clock& clock, std::shared_ptr<EdgeState> state,
                std::shared_ptr<const Profile> profile, Endpoint peer,
                std::optional<PeerCredentials> credentials, bool relays,
                std::shared_ptr<WakeList> wakes);
  ~ClientHandler() override;

  Reply connect(const Endpoint& peer) override;
  Reply mail(const Envelope& envelope, std::uint64_t size) override;
  Reply rcpt(const Envelope& envelope, const Recipient& recipient) override;
  std::unique_ptr<smtp::ContentReceiver> data(Envelope envelope, Reply& refusal) override;
  bool under_stress() const override;
  bool stopping() const override;
  void when_stopping(std::function<void()> wake) override;
  void ended(const smtp::ServerReport& report) override;

 private:
  Reply room() const;
  bool is_for_bounces(const Recipient& recipient) const;
  Reply bounce_recipient(const Envelope& envelope, const Recipient& recipient);

  Admission& admission_;
  Clock& clock_;
  std::shared_ptr<EdgeState> state_;
  std::shared_ptr<const Profile> profile_;
  const Endpoint peer_;
  const std::optional<PeerCredentials> credentials_;
  const bool relays_;
  std::shared_ptr<WakeList> wakes_;
  WakeList::iterator wake_;  // end: none
};

}  // namespace mansio::edge
