#include "message/disposition.h"

namespace mansio {

const char* to_text(Outcome outcome) {
  switch (outcome) {
    case Outcome::delivered:
      return "delivered";
    case Outcome::deferred:
      return "deferred";
    case Outcome::failed:
      return "failed";
    case Outcome::expired:
      return "expired";
  }
  return "unknown";
}

const char* to_text(Stage stage) {
  switch (stage) {
    case Stage::none:
      return "none";
    case Stage::route:
      return "route";
    case Stage::connect:
      return "connect";
    case Stage::greeting:
      return "greeting";
    case Stage::ehlo:
      return "ehlo";
    case Stage::starttls:
      return "starttls";
    case Stage::auth:
      return "auth";
    case Stage::mail:
      return "mail";
    case Stage::rcpt:
      return "rcpt";
    case Stage::data:
      return "data";
    case Stage::body:
      return "body";
    case Stage::final_dot:
      return "final_dot";
    case Stage::quit:
      return "quit";
    case Stage::local:
      return "local";
  }
  return "unknown";
}

const char* to_text(Cause cause) {
  switch (cause) {
    case Cause::reply:
      return "reply";
    case Cause::network:
      return "network";
    case Cause::timeout:
      return "timeout";
    case Cause::protocol:
      return "protocol";
    case Cause::dns:
      return "dns";
    case Cause::tls:
      return "tls";
    case Cause::policy:
      return "policy";
    case Cause::extension:
      return "extension";
    case Cause::local:
      return "local";
    case Cause::missing:
      return "missing";
    case Cause::operator_:
      return "operator";
    case Cause::lifetime:
      return "lifetime";
    case Cause::tries:
      return "tries";
  }
  return "unknown";
}

}  // namespace mansio
