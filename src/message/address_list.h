// The addresses of a To, Cc or Bcc field (RFC 5322 §3.4, obsolete forms of §4.4 included), as the
// `sendmail` command reads them with -t. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio {

struct AddressList {
  /// "local@domain", or the local part alone where no domain was given; quoting as it was.
  std::vector<std::string> addresses;
  /// The first entry that is no address, as it stood there; empty: every one was understood.
  std::string not_understood;
};

/// `text`: a field's body, folded or not. Groups are opened, display names (encoded or not),
/// comments and source routes dropped; "undisclosed-recipients:;" is an empty list. Whether an
/// address is one that SMTP can carry is for Address::parse to say.
AddressList parse_address_list(std::string_view text);

}  // namespace mansio
