// What an outcome means: the one place that decides. Everything that can happen at a step of an
// attempt goes in; what to do with the recipients, the other hosts, the destination and the
// connection comes out. Pure; the table is in failure_policy_test.cc and docs/CONFORMANCE.md.
//
// The rules that are easy to get wrong:
//   - Only a peer's 5yz makes a recipient fail, an extension that the peer lacks, or a DNS answer
//     that is final by itself (mx_hosts.h gives it a 5yz of its own: the domain does not exist,
//     takes no mail, or leads back to us); never the network, a time-out, a DNS lookup that was
//     left open, TLS, our own settings or store. Unknown means defer.
//   - 421 ends the session wherever it comes, and is temporary (RFC 5321 §3.8).
//   - 552 to RCPT means "too many recipients" (RFC 5321 §4.5.3.1.10) unless its enhanced code says
//     otherwise (5.2.2: mailbox full); 552 to MAIL or DATA is permanent.
//   - A refusal in the greeting is about the host: the next one is tried. 521 and 556 are final for
//     that host (RFC 7504): if no host gave hope, the recipient fails; after 554 it is deferred.
//   - From the final dot to its reply the peer may have the message: in doubt, deferred.
//   - Local causes never count as a try.
#pragma once

#include "message/disposition.h"

namespace mansio::delivery {

/// What happened.
struct Event {
  Stage stage = Stage::none;
  Cause cause = Cause::reply;
  Reply reply;                ///< for cause `reply` the peer's; else text for people, code optional
  bool more_hosts = false;    ///< the route has hosts that were not tried in this attempt
  bool dot_written = false;   ///< the final dot may have reached the peer
  bool first_message = true;  ///< no message was answered on this connection before
};

struct Verdict {
  Outcome outcome = Outcome::deferred;
  Reply reply;  ///< the event's, with a code and an enhanced code if it had none
  bool counts_as_try = true;
  bool in_doubt = false;
  bool try_next_host = false;
  bool delay_destination = false;  ///< trouble of the host or destination, not of this message
  bool connection_reusable = false;
  bool another_transaction =
      false;  ///< too many recipients: this one fits into a later transaction
};

Verdict classify(const Event& event);

/// True if `candidate` should replace `current` as the outcome over several hosts: any temporary
/// one wins over a permanent one, otherwise the later.
bool outweighs(const Verdict& candidate, const Verdict& current);

/// A disposition from a verdict; host, address and TLS are the caller's to fill.
Disposition to_disposition(Verdict verdict, const Event& event);

}  // namespace mansio::delivery
