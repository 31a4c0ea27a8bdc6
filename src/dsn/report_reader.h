// Reads what other servers send back about our mail: delivery status notifications (RFC 3464,
// 6533), the older bounces in words, complaints (RFC 5965), and tells them from automatic replies.
//
// The message is read as it comes in, in one pass: what is kept of it is a few hundred kilobytes at
// most, whatever its size, nesting and number of parts. Nothing in it is believed: whom a report
// concerns is for the caller to decide, by a token of ours (return_token.h), never by its text.
// Pure. Thread safety: distinct objects.
#pragma once

#include <memory>
#include <string_view>

#include "dsn/report.h"

namespace mansio::dsn {

class ReportReader {
 public:
  ReportReader();
  ~ReportReader();

  /// The next octets of the message.
  void feed(std::string_view octets);
  /// At the end of the message, once.
  Report finish();

 private:
  class Collector;
  std::unique_ptr<Collector> collector_;
};

/// A whole message at once.
Report read_report(std::string_view message);

}  // namespace mansio::dsn
