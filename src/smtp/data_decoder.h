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

namespace mansio::smtp {

class DataDecoder {
 public:
  /// `normalize`: a lone CR or LF becomes CR LF instead of being a fault.
  explicit DataDecoder(bool normalize) : normalize_(normalize) {}

  /// Decodes from the front of `input`, appends content to `out`, and gives the number of octets
  /// used: all, unless the end of data came. Any chunking of the same octets gives the same result.
  /// After a fault nothing more is appended, the end is still found. REQUIRES: !done().
  std::size_t decode(std::string_view input, std::string& out);

  bool done() const { return done_; }

  /// A CR or LF stood alone (also with `normalize`, where it is no fault).
  bool bare_newline() const { return bare_newline_; }

  bool nul() const { return nul_; }

  /// Octets of content so far, those suppressed by a fault included.
  std::uint64_t size() const { return size_; }

  /// Octets of the longest line so far, without line end.
  std::uint64_t longest_line() const { return longest_line_; }

 private:
  enum class State : std::uint8_t {
    line_start,  ///< after CR LF, or at the very start
    dot,         ///< line_start, then "."
    dot_cr,      ///< line_start, then "." CR
    middle,      ///< in a line
    cr,          ///< in a line, after CR
  };

  void octets(std::string_view run, std::string& out);
  void line_end(std::string& out);
  void lone(char octet, std::string& out);

  bool suppressed() const { return nul_ || (bare_newline_ && !normalize_); }

  bool normalize_;
  State state_ = State::line_start;
  bool done_ = false;
  bool bare_newline_ = false;
  bool nul_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t line_ = 0;
  std::uint64_t longest_line_ = 0;
};

}  // namespace mansio::smtp
