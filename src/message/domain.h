// Internationalised domain names (RFC 5890): the ASCII form that DNS, routes, lanes and peers
// without SMTPUTF8 know. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace mansio {

enum class DomainError {
  not_a_name = 1,  ///< not UTF-8, or a character or label that IDNA allows in no name
  too_long,        ///< over 253 octets, or a label over 63, as A-labels
};
ErrorCode make_error_code(DomainError error);

/// `domain` with each U-label as its A-label, in lower case: "BÜCHER.example" gives
/// "xn--bcher-kva.example". Mapping is that of UTS 46, non-transitional (so "ß" stays a letter of
/// its own). ASCII only gets its case changed and its lengths checked: whether DNS knows such a
/// name, DNS says. Address literals and names with a final dot are given back as they are, in lower
/// case.
Result<std::string> to_a_labels(std::string_view domain);

}  // namespace mansio

template <>
struct boost::system::is_error_code_enum<mansio::DomainError> : std::true_type {};
