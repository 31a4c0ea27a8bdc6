// Reads one SMTP reply after the other from the octets of a peer (RFC 5321 §4.2), whatever pieces
// they come in. A peer's text is hostile until proven otherwise, so everything has a limit.
// Pure. Thread safety: distinct objects only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "message/reply.h"

namespace mansio::smtp {

struct ReplyLimits {
  std::size_t line = 2048;        ///< octets of one line, its end included
  std::size_t lines = 100;        ///< lines of one reply
  std::size_t reply = 64 * 1024;  ///< octets of one reply
  std::size_t text = 4096;        ///< octets of text that are kept; the rest is read and dropped
};

/// Feed octets until complete(), then take() the reply and go on with the octets that feed() left.
///
/// A reply is a protocol error, for good, if a line or the whole is over its limit, does not begin
/// with a code from 200 to 599 followed by a space, a hyphen or the end of the line, holds a NUL,
/// or if its lines do not carry the same code. A lone LF ends a line too: many servers' scripts
/// write it, and nothing of ours depends on the difference.
class ReplyReader {
 public:
  explicit ReplyReader(ReplyLimits limits = {}) : limits_(limits) {}

  /// Consumes octets up to the end of one reply and gives how many; none once complete or failed.
  std::size_t feed(std::string_view octets);

  bool complete() const { return complete_; }

  bool failed() const { return !error_.empty(); }

  /// What was wrong, with the beginning of the offending line; empty unless failed().
  const std::string& error() const { return error_; }

  /// True when part of a reply was consumed.
  bool in_reply() const { return octets_ != 0 && !complete_; }

  /// REQUIRES: complete(). The reader is ready for the next reply then. The enhanced status code
  /// (RFC 2034) is taken out of the text if its class agrees with the code.
  Reply take();

 private:
  void end_line();
  void fail(std::string_view what);

  ReplyLimits limits_;
  std::string line_;        // the current line so far
  std::size_t octets_ = 0;  // of this reply
  std::size_t lines_ = 0;
  Reply reply_;
  bool complete_ = false;
  std::string error_;
};

}  // namespace mansio::smtp
