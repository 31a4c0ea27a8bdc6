// The value of ORCPT, "addr-type;address" (RFC 3461 §4.2), and the address type utf-8 of RFC 6533
// §3. Pure.
#pragma once

#include <string>
#include <string_view>

#include "message/address.h"

namespace mansio {

/// True for what a RCPT may carry: a type, and an address of printable characters: in xtext, or for
/// the type utf-8 with each other character as \x{HEX}. `unicode`: the transaction has SMTPUTF8, so
/// that a utf-8 address may hold UTF-8 as it is, and xtext may encode it, as Postfix does. At most
/// 500 octets.
bool valid_original_recipient(std::string_view value, bool unicode);

/// `value` for a transaction without SMTPUTF8: UTF-8 of the type utf-8 becomes \x{HEX}.
std::string ascii_original_recipient(std::string_view value);

/// The ORCPT that names `address`: in xtext, or as utf-8 with \x{HEX}.
std::string original_recipient_of(const Address& address);

}  // namespace mansio
