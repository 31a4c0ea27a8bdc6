// SMTP replies (RFC 5321 §4.2) with enhanced status codes (RFC 3463). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio {

/// x.y.z of RFC 3463; class 0 means absent.
struct EnhancedCode {
  std::uint8_t klass = 0;      ///< 2, 4 or 5; 0: none was given
  std::uint16_t subject = 0;   ///< 0 to 999
  std::uint16_t detail = 0;    ///< 0 to 999

  bool present() const { return klass != 0; }
  std::string to_string() const;
  /// Only "C.S.D" with C in {2,4,5} and up to three digits each.
  static std::optional<EnhancedCode> parse(std::string_view text);
  friend bool operator==(const EnhancedCode&, const EnhancedCode&) = default;
};

/// What a peer said, or what we say. `code` 0: nothing was said (a local or network cause).
struct Reply {
  std::uint16_t code = 0;      ///< 200 to 599, or 0
  EnhancedCode enhanced;
  std::string text;            ///< lines joined by '\n', without codes; may hold any octet of a peer

  bool positive() const { return code >= 200 && code < 300; }
  bool intermediate() const { return code >= 300 && code < 400; }
  bool temporary() const { return code >= 400 && code < 500; }
  bool permanent() const { return code >= 500 && code < 600; }
  /// "550 5.1.1 No such user", one line, control octets escaped.
  std::string to_string() const;
  friend bool operator==(const Reply&, const Reply&) = default;
};

}  // namespace mansio
