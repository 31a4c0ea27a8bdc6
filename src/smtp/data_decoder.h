// Takes the octets after 354 apart: where the data ends, and what the message is. Pure.
//
// Only CR LF "." CR LF ends the data (RFC 5321 §4.1.1.4; the start of the data counts as a line
// start). A dot is undone only after a true CR LF. A CR or LF that stands alone is never part of an
// end, whatever surrounds it: it is a fault, or with `normalize` a line end of the content. So two
// parsers can never disagree about where this message stops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "smtp/content_meter.h"

namespace mansio::smtp {

class DataDecoder final : public ContentMeter {
 public:
  /// `normalize`: see ContentMeter.
  explicit DataDecoder(bool normalize) : ContentMeter(normalize) {}

  /// Decodes from the front of `input`, appends content to `out`, and gives the number of octets
  /// used: all, unless the end of data came. Any chunking of the same octets gives the same result.
  /// After a fault nothing more is appended, the end is still found. REQUIRES: !done().
  std::size_t decode(std::string_view input, std::string& out);

  bool done() const { return done_; }

 private:
  enum class State : std::uint8_t {
    line_start,  ///< after CR LF, or at the very start
    dot,         ///< line_start, then "."
    dot_cr,      ///< line_start, then "." CR
    middle,      ///< in a line
    cr,          ///< in a line, after CR
  };

  State state_ = State::line_start;
  bool done_ = false;
};

}  // namespace mansio::smtp
