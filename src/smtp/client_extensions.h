// What a server offers in its reply to EHLO or LHLO (RFC 5321 §4.1.1.1). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mansio::smtp {

/// Found out anew on every connection, and forgotten after STARTTLS (RFC 3207 §4.2).
struct Extensions {
  bool pipelining = false;      ///< RFC 2920
  bool eight_bit_mime = false;  ///< RFC 6152
  bool smtputf8 = false;        ///< RFC 6531
  bool dsn = false;             ///< RFC 3461
  bool chunking = false;        ///< RFC 3030
  bool binarymime = false;      ///< RFC 3030 §3
  bool starttls = false;        ///< RFC 3207
  bool size = false;            ///< RFC 1870
  std::uint64_t size_max = 0;   ///< 0: offered without a limit
  bool auth_plain = false;      ///< RFC 4954, 4616
  bool auth_login = false;
};

/// `text`: the reply's lines joined by '\n'; the first one is the greeting and holds no keyword.
Extensions parse_extensions(std::string_view text);

}  // namespace mansio::smtp
