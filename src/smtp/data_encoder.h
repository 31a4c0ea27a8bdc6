// Turns the octets of a message into the octets after DATA (RFC 5321 §4.5.2): leading dots doubled,
// CRLF.CRLF at the end. It is the last guard against smuggling: whatever the content holds, no
// bare CR or LF and no undoubled leading dot leaves. Pure.
#pragma once

#include <string_view>

#include "smtp/outgoing.h"

namespace mansio::smtp {

class DataEncoder {
 public:
  /// Appends the encoded form of the next octets to `out`, which refers to them where it may. A
  /// bare CR or LF becomes CRLF.
  void feed(std::string_view octets, Outgoing& out);

  /// Appends CRLF if the content did not end with one, and the final dot. Call it once.
  void finish(Outgoing& out);

  /// True if a bare CR or LF had to be repaired: the content was damaged on its way here.
  bool repaired() const { return repaired_; }

 private:
  void end_line(Outgoing& out);

  bool at_line_start_ = true;
  bool after_cr_ = false;  // a CR was read and not written yet
  bool repaired_ = false;
};

}  // namespace mansio::smtp
