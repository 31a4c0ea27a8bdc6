#include "edge/client_handler.h"

#include <algorithm>

#include "base/log.h"
#include "edge/bounce_receiver.h"
#include "edge/receiver.h"
#include "edge/submission_receiver.h"
#include "net/net.h"

namespace mansio::edge {

bool may_relay(const Profile& profile, const Endpoint& peer, const Endpoint& local) {
  if (local.is_unix()) return true;
  return std::any_of(
      profile.relay_from.begin(), profile.relay_from.end(),
      [&](const std::string& network) { return net::in_network(peer.address, network); });
}

ClientHandler::ClientHandler(Admission& admission, Clock& clock, std::shared_ptr<EdgeState> state,
                             std::shared_ptr<const Profile> profile, Endpoint peer,
                             std::optional<PeerCredentials> credentials, bool relays,
                             std::shared_ptr<WakeList> wakes)
    : admission_(admission),
      clock_(clock),
      state_(std::move(state)),
      profile_(std::move(profile)),
      peer_(std::move(peer)),
      credentials_(credentials),
      relays_(relays),
      wakes_(std::move(wakes)),
      wake_(wakes_->end()) {}

ClientHandler::~ClientHandler() { ClientHandler::when_stopping({}); }

namespace {

/// An operator wants nothing new here; other servers of the sender's list may take it.
Reply draining(std::uint16_t code) {
  return {code, {4, 3, 2}, "Service is being drained, try another server"};
}

}  // namespace

Reply ClientHandler::connect(const Endpoint& /*peer*/) {
  if (admission_.readiness() == Readiness::latched) {
    return {421, {4, 3, 0}, "Service not available, local storage failed"};
  }
  if (stopping()) return {421, {4, 3, 2}, "Service is shutting down"};
  if (admission_.readiness() == Readiness::draining) return draining(421);
  return {220, {}, "Ok"};
}

/// A positive reply if a message could be taken now.
Reply ClientHandler::room() const {
  switch (admission_.readiness()) {
    case Readiness::ready:
      return {250, {2, 1, 0}, "Ok"};
    case Readiness::full:
      return {452, {4, 3, 1}, "Insufficient storage, try again later"};
    case Readiness::latched:
      return {421, {4, 3, 0}, "Service not available, local storage failed"};
    case Readiness::draining:
      return draining(451);
    case Readiness::stopping:
      break;
  }
  return {421, {4, 3, 2}, "Service is not accepting mail now"};
}

Reply ClientHandler::mail(const Envelope& /*envelope*/, std::uint64_t /*size*/) { return room(); }

bool ClientHandler::is_for_bounces(const Recipient& recipient) const {
  return profile_->bounces && profile_->bounces->is_for_us(recipient.address);
}

/// Open to everybody, since notices come from anywhere, but only to addresses that we gave out.
Reply ClientHandler::bounce_recipient(const Envelope& envelope, const Recipient& recipient) {
  if (profile_->bounces->find(recipient.address)) return {250, {2, 1, 5}, "Ok"};
  ++state_->statistics.bounces_refused;
  log::info("bounce_refused")
      .field("client", peer_.to_string())
      .field("sender", envelope.reverse_path.to_string())
      .field("recipient", recipient.address.to_string());
  return {550, {5, 1, 1}, "No such address"};
}

Reply ClientHandler::rcpt(const Envelope& envelope, const Recipient& recipient) {
  const bool for_bounces = is_for_bounces(recipient);
  if (!envelope.recipients.empty() && is_for_bounces(envelope.recipients.front()) != for_bounces) {
    // One is read here, the other relayed: the client sends the rest again (RFC 5321 §4.5.3.1.10).
    return {452, {4, 5, 3}, "Notices and other mail need transactions of their own"};
  }
  if (for_bounces) return bounce_recipient(envelope, recipient);
  if (relays_) return {250, {2, 1, 5}, "Ok"};
  ++state_->statistics.relaying_denied;
  log::info("relaying_denied")
      .field("client", peer_.to_string())
      .field("sender", envelope.reverse_path.to_string())
      .field("recipient", recipient.address.to_string());
  return {550, {5, 7, 1}, "Relaying denied"};
}

std::unique_ptr<smtp::ContentReceiver> ClientHandler::data(Envelope envelope, Reply& refusal) {
  if (Reply reply = room(); !reply.positive()) {
    refusal = std::move(reply);
    return nullptr;
  }
  if (is_for_bounces(envelope.recipients.front())) {
    return std::make_unique<BounceReceiver>(admission_, state_->statistics, clock_,
                                            profile_->bounces, std::move(envelope),
                                            profile_->options.lmtp);
  }
  ReceiverOptions options;
  options.hostname = profile_->options.hostname;
  options.lmtp = profile_->options.lmtp;
  options.hops = profile_->options.limits.hops;
  options.header = profile_->options.limits.header;
  options.header_lines = profile_->options.limits.header_lines;
  options.line = profile_->options.limits.data_line;
  options.content_in_memory = profile_->content_in_memory;
  if (credentials_ && envelope.origin.user.empty()) {
    envelope.origin.user = local_user(credentials_->user);
  }
  // A program of this machine submits; everybody else relays, and no octet of that is ours to
  // change.
  const bool submits = peer_.is_unix() && !options.lmtp && envelope.body != BodyType::binary_mime;
  MissingFields missing;
  if (submits) {
    missing =
        missing_fields(envelope, options.hostname, admission_.new_id().to_string(), clock_.now());
  }
  const std::uint64_t header_max = options.header;
  std::unique_ptr<smtp::ContentReceiver> receiver = std::make_unique<Receiver>(
      admission_, state_->statistics, clock_, std::move(options), std::move(envelope));
  if (!submits) return receiver;
  return std::make_unique<SubmissionReceiver>(std::move(receiver), std::move(missing), header_max);
}

bool ClientHandler::under_stress() const {
  return state_->statistics.connections_open * 5 >= state_->connections_max * 4;
}

bool ClientHandler::stopping() const { return state_->stopping; }

void ClientHandler::when_stopping(std::function<void()> wake) {
  if (wake_ != wakes_->end()) wakes_->erase(wake_);
  wake_ = wakes_->end();
  if (wake) wake_ = wakes_->insert(wakes_->end(), std::move(wake));
}

void ClientHandler::ended(const smtp::ServerReport& report) {
  EdgeStatistics& statistics = state_->statistics;
  if (!report.tls.empty()) ++statistics.tls_connections;
  statistics.messages_refused += report.refused_messages;
  statistics.recipients_refused += report.refused_recipients;
  const bool orderly = report.cause == "quit" || report.cause == "closed by peer" ||
                       report.cause == "shutdown" || report.cause == "refused";
  if (!orderly) ++statistics.connections_failed;
  const auto level = orderly ? log::Level::info : log::Level::warning;
  log::Line(level, "connection_ended")
      .field("client", peer_.to_string())
      .field("user", credentials_ ? local_user(credentials_->user) : std::string())
      .field("name", report.client_name)
      .field("cause", report.cause)
      .field("tls", report.tls)
      .field("commands", report.commands)
      .field("messages", report.messages)
      .field("refused_messages", report.refused_messages)
      .field("refused_recipients", report.refused_recipients)
      .field("errors", report.errors)
      .field("octets", report.octets)
      .field("last_error", report.last_error);
}

}  // namespace mansio::edge
