// What the server learns of content while it comes in, by DATA or by BDAT: its size, its longest
// line, and the octets that no text may hold. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::smtp {

/// Octets of `text` before the first CR, LF or NUL.
std::size_t plain_run(std::string_view text);

/// Octets of the lines at the front of `text` that go through as they stand: ended by CR LF,
/// without NUL, and not begun by a dot. `text` begins where a line does. The last line counts only
/// if its end is there. `longest`: raised to the longest of them, without line end.
std::size_t plain_lines(std::string_view text, std::uint64_t& longest);

class ContentMeter {
 public:
  /// A CR or LF stood alone (also with `normalize`, where it is no fault).
  bool bare_newline() const { return bare_newline_; }

  bool nul() const { return nul_; }

  /// Octets of content so far, those suppressed by a fault included.
  std::uint64_t size() const { return size_; }

  /// Octets of the longest line so far, without line end.
  std::uint64_t longest_line() const { return longest_line_; }

 protected:
  /// `normalize`: a lone CR or LF becomes CR LF instead of being a fault.
  explicit ContentMeter(bool normalize) : normalize_(normalize) {}

  /// Takes plain_lines() in one piece and gives their octets. REQUIRES: a line begins here.
  std::size_t lines(std::string_view text, std::string& out);

  // Each appends to `out`, unless a fault came before.
  void octets(std::string_view run, std::string& out);
  void line_end(std::string& out);
  void lone(char octet, std::string& out);

  bool nul_ = false;

 private:
  bool suppressed() const { return nul_ || (bare_newline_ && !normalize_); }

  const bool normalize_;
  bool bare_newline_ = false;
  std::uint64_t size_ = 0;
  std::uint64_t line_ = 0;
  std::uint64_t longest_line_ = 0;
};

}  // namespace mansio::smtp
