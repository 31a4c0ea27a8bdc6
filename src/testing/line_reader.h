// Lines and message data off a stream, for the scripted ends of a connection.
#pragma once

#include <string>

#include "base/stream.h"

namespace mansio::fake {

class LineReader {
 public:
  /// The next line without its CRLF (or LF).
  Task<Result<std::string>> read_line(Stream& stream);
  /// Lines up to ".", joined with CRLF as received, dot-stuffing undone (RFC 5321 §4.5.2).
  Task<Result<std::string>> read_data(Stream& stream);

  /// Exactly so many octets.
  Task<Result<std::string>> read_octets(Stream& stream, std::size_t count);

  /// Octets received and not yet given out.
  const std::string& pending() const { return pending_; }

 private:
  /// With its line end.
  Task<Result<std::string>> read_raw_line(Stream& stream);

  std::string pending_;
  std::size_t searched_ = 0;
};

}  // namespace mansio::fake
