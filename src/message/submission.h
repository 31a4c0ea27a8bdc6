// What only the first hop of a message may do to it (RFC 6409 §8): end its lines as SMTP wants
// them, add the fields that every message must have, take out what is for nobody's eyes. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace mansio {

/// One field of a header section.
struct HeaderField {
  std::string_view name;   ///< as written, without the colon
  std::string_view body;   ///< after the colon, folds and the last CRLF included
  std::string_view whole;  ///< all of its octets

  bool is(std::string_view other) const;  ///< by name, ignoring case
};

/// The fields from the start of `text`, up to the empty line, the end, or the first line that is
/// none. `text` has CRLF line ends. `end`: where they end, before the empty line.
std::vector<HeaderField> header_fields(std::string_view text, std::size_t* end = nullptr);

/// Ends each line with CR LF, whatever it ended with (CR LF, LF or CR), piece by piece.
class LineEnds {
 public:
  /// What `piece` becomes; a CR at its end is remembered.
  std::string feed(std::string_view piece);
  /// What is still due at the end: the end of a line that has none.
  std::string finish();

 private:
  bool after_cr_ = false;
  bool in_line_ = false;
};

/// The same for a whole text.
std::string to_network_lines(std::string_view text);

/// Values for fields that are missing.
struct MissingFields {
  std::string from;  ///< address, or address with name, as it is to stand in From; "" adds none
  std::string message_id;  ///< without angle brackets
  Time now;
};

/// The header section with Date, Message-ID and From added at its end where they are missing
/// (RFC 6409 §8.1, §8.2, RFC 5322 §3.6), without Bcc and Resent-Bcc (RFC 5322 §3.6.3), Return-Path
/// and our own X-Mansio-* fields. `text` begins with the header section, or is all body; the empty
/// line between them is put in where it is missing. Nothing else is touched, doubled fields least
/// of all.
std::string completed(std::string_view text, const MissingFields& missing);

/// "Name <address>" with the name quoted or encoded (RFC 2047 §5) as it needs it.
std::string mailbox_text(std::string_view name, std::string_view address);

}  // namespace mansio
