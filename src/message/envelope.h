// What MAIL and RCPT said, with the DSN parameters (RFC 3461) exactly as received. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "message/address.h"

namespace mansio {

enum class BodyType : std::uint8_t { seven_bit, eight_bit_mime, binary_mime };
enum class DsnReturn : std::uint8_t { unspecified, full, headers };

/// NOTIFY= of RFC 3461 §4.1. `present` false: the parameter was absent (failure, delay optional).
struct DsnNotify {
  bool present = false;
  bool never = false;
  bool success = false;
  bool failure = false;
  bool delay = false;

  bool wants_failure() const { return !never && (!present || failure); }
  bool wants_success() const { return present && !never && success; }
  bool wants_delay() const { return !never && (!present || delay); }
  friend bool operator==(const DsnNotify&, const DsnNotify&) = default;
};

/// One RCPT as it was accepted. Its index in the message is its identity for life.
struct Recipient {
  Address address;             ///< where it is delivered
  Address original;            ///< what the client gave, where a hook rewrote it; notices name this one
  DsnNotify notify;
  std::string original_recipient;  ///< ORCPT as received ("rfc822;user+2Btag@x"), empty if absent
  friend bool operator==(const Recipient&, const Recipient&) = default;
};

/// Facts about where a message came from. No secrets.
struct Origin {
  std::string protocol;        ///< "ESMTP", "ESMTPS", "LMTP", "HTTP", "local", "notice"
  std::string client_address;
  std::string client_name;     ///< EHLO argument
  std::string tls;             ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", empty without TLS
  std::string user;            ///< authenticated identity
  friend bool operator==(const Origin&, const Origin&) = default;
};

struct Envelope {
  Address reverse_path;        ///< null: no notices, ever
  std::vector<Recipient> recipients;
  BodyType body = BodyType::seven_bit;
  bool smtputf8 = false;
  DsnReturn dsn_return = DsnReturn::unspecified;
  std::string envelope_id;     ///< ENVID as received (xtext), empty if absent
  Origin origin;
  friend bool operator==(const Envelope&, const Envelope&) = default;
};

}  // namespace mansio
