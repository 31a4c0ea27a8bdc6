// Which mail is for [bounces]: the domain, and the addresses in it that exist.
#pragma once

#include <optional>
#include <string_view>

#include "dsn/report.h"
#include "dsn/return_token.h"
#include "settings/settings.h"

namespace mansio::edge {

/// An address in the domain that exists. `mark` unset: the plain address, where the notice itself
/// must carry a token of ours.
struct BounceAddress {
  std::optional<dsn::ReturnMark> mark;
};

/// Immutable; thread safety: any thread.
class BounceDesk {
 public:
  /// REQUIRES: a domain and a secret.
  explicit BounceDesk(const settings::Bounces& bounces);

  /// True for every address in the domain: mail to it is never relayed.
  bool is_for_us(const Address& address) const;
  /// nullopt: there is no such address.
  std::optional<BounceAddress> find(const Address& address) const;
  /// What a report that came to the plain address is about, by the token in its ENVID or, of a
  /// complaint, in the reverse-path of the original.
  std::optional<dsn::ReturnMark> mark_of(const dsn::Report& report) const;

 private:
  const dsn::ReturnTokens tokens_;
  const bool plain_address_;
};

}  // namespace mansio::edge
