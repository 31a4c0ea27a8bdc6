// The mark by which a notice of another server finds the message that it is about. It goes out in
// the reverse-path of what we send (VERP) or in its ENVID, and comes back in a notice; nobody
// without our secret can make one. Pure.
//
//   token = queue id "-" index "-" hash      26 + 1 + up to 10 + 1 + 20 characters
//   index = decimal digits, or "a": all recipients
//   hash  = 20 characters of base 32: the first 100 bits of HMAC-SHA256 over version, id and index
//
// Case does not matter, so that servers which fold it do no harm; of an address, "b+" stands in
// front of the token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "message/address.h"

namespace mansio::dsn {

/// What a token says.
struct ReturnMark {
  QueueId id;
  std::optional<std::uint32_t> recipient;  ///< index in the envelope; none: the whole message
  friend bool operator==(const ReturnMark&, const ReturnMark&) = default;
};

/// Makes and checks tokens. Immutable; thread safety: any thread.
class ReturnTokens {
 public:
  /// `secret`: at least 16 octets. `domain`: of the addresses.
  ReturnTokens(std::string secret, std::string domain);

  const std::string& domain() const { return domain_; }

  /// At most 60 characters; printable ASCII without "+" and "=", so it is its own xtext.
  std::string token(const ReturnMark& mark) const;
  /// The address that carries it.
  Address address(const ReturnMark& mark) const;

  /// nullopt: not a token of ours. The hash is compared in constant time.
  std::optional<ReturnMark> verify(std::string_view token) const;
  /// The same for the local part of an address ("b+TOKEN").
  std::optional<ReturnMark> verify_local(std::string_view local) const;

 private:
  const std::string secret_;
  const std::string domain_;
};

}  // namespace mansio::dsn
