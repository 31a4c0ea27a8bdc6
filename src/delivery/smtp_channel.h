// The channel that speaks SMTP or LMTP to the hosts of a route.
//
// One run() is one session, from the first work to the end of the connection:
//   1. take work from the lane; find the route; connect to its first host that works
//      (connection.h). None works: that work gets the reason, and the lane is delayed.
//   2. check the message against what the peer offers: SIZE, 8BITMIME, SMTPUTF8.
//   3. one transaction for as many recipients as allowed; those that the peer finds too many go
//      into another transaction of the same session.
//   4. with PIPELINING, the next work is taken before the content is sent, and its MAIL, RCPT and
//      DATA leave together with the final dot.
//   5. one disposition per recipient, by failure_policy.h alone, is given back to the lane.
//   6. without further work the connection waits for some, then says QUIT.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "delivery/channel.h"
#include "delivery/connection.h"
#include "delivery/return_paths.h"

namespace mansio::delivery {

struct SmtpChannelOptions {
  bool lmtp = false;
  settings::Timeouts timeouts;
  /// Messages over this are not converted for a peer without 8BITMIME: the conversion needs the
  /// whole in memory.
  std::uint64_t conversion_max = 8ull << 20;
  ReturnPaths return_paths;
};

/// Thread safety: run() on any loop, several at once.
class SmtpChannel final : public Channel {
 public:
  /// `connector`, `clock` and `traces` outlive the channel. `tls`: see ConnectionPorts; both may be
  /// null, and so may `traces`.
  SmtpChannel(SmtpChannelOptions options, std::shared_ptr<RouteSource> routes, Connector& connector,
              Clock& clock, std::shared_ptr<TlsContext> tls,
              std::shared_ptr<TlsContext> tls_verifying, TraceBook* traces = nullptr);

  Task<SessionReport> run(SessionRequest request, WorkSource& source) override;
  std::string describe(const std::string& destination) const override;

 private:
  SmtpChannelOptions options_;
  std::shared_ptr<RouteSource> routes_;
  HostTable hosts_;
  ConnectionPorts ports_;
};

}  // namespace mansio::delivery
