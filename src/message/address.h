// Mail addresses as SMTP carries them (RFC 5321 §4.1.2, RFC 6531). Pure. Octets are kept as given:
// case and quoting of the local part are never changed (§2.4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mansio {

enum class AddressError {
  syntax = 1,       ///< not a path
  local_too_long,   ///< over 64 octets
  domain_too_long,  ///< over 255 octets, or a label over 63
  path_too_long,    ///< over 256 octets
  utf8_not_allowed, ///< non-ASCII without SMTPUTF8
  utf8_invalid,     ///< not UTF-8, overlong, or control or bidi control characters
  domain_invalid,   ///< a U-label that has no A-label
};
ErrorCode make_error_code(AddressError error);

/// local@domain. Both empty: the null reverse-path. `domain` empty: bare "postmaster".
struct Address {
  std::string local;
  std::string domain;

  bool is_null() const { return local.empty() && domain.empty(); }
  bool needs_utf8() const;
  /// Without angle brackets; "" for the null path.
  std::string to_string() const;
  friend auto operator<=>(const Address&, const Address&) = default;

  /// Without angle brackets: "user@example.com", "\"a b\"@x", "user@[192.0.2.1]", "postmaster".
  static Result<Address> parse(std::string_view text, bool allow_utf8);
};

/// A path of MAIL or RCPT and what follows it: "<a@b> SIZE=10" gives the address and "SIZE=10".
/// A source route "<@x,@y:a@b>" is accepted and cut (RFC 5321 App. C).
struct Path {
  Address address;
  std::string_view rest;  ///< into the text given to parse
};
Result<Path> parse_path(std::string_view text, bool allow_utf8);

/// The routing domain of an address: lower case ASCII with A-labels for U-labels (RFC 6531 §3.7.1),
/// the trailing dot removed; an address literal keeps its brackets; bare postmaster gives
/// `local_domain`.
std::string destination_of(const Address& address, std::string_view local_domain);

/// The address as a peer without SMTPUTF8 can take it: the same octets, or with A-labels if only its
/// domain is not ASCII. nullopt: there is no such form.
std::optional<Address> ascii_address(const Address& address);

}  // namespace mansio

template <>
struct boost::system::is_error_code_enum<mansio::AddressError> : std::true_type {};
