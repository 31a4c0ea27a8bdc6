// SMTP and LMTP as a mansio::Target: the contract's steps are the protocol's, one at a time.
//   start: route, connection, MAIL    add_recipient: RCPT    body: DATA to the reply after the dot
//   commit, abort: QUIT (the peer has decided at the dot; before it, QUIT drops the transaction)
// LMTP has a status per recipient (RFC 2033 §4.2). The SmtpChannel is the way for mail in bulk.
#pragma once

#include <memory>
#include <string>

#include "delivery/channel.h"
#include "delivery/connection.h"
#include "delivery/smtp_channel.h"

namespace mansio::delivery {

class SmtpTarget final : public Target {
 public:
  /// Everything goes to the route of `destination`. `connector` and `clock` outlive the target.
  SmtpTarget(SmtpChannelOptions options, std::string destination, Binding binding,
             std::shared_ptr<RouteSource> routes, Connector& connector, Clock& clock,
             std::shared_ptr<TlsContext> tls, std::shared_ptr<TlsContext> tls_verifying);

  Task<Started> start(const Message& message) override;

 private:
  SmtpChannelOptions options_;
  std::string destination_;
  Binding binding_;
  std::shared_ptr<RouteSource> routes_;
  HostTable hosts_;
  ConnectionPorts ports_;
};

}  // namespace mansio::delivery
