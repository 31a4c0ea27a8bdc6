// The engine of `mansio load`: sessions as state machines over plain Asio handlers, one event loop
// per thread. A message costs one write and one read of its session: the final dot travels with the
// next message's MAIL, RCPT and DATA, and the reply to it with theirs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "mansio/load_content.h"
#include "mansio/load_record.h"

namespace mansio::load {

enum class Pipeline : std::uint8_t {
  none,      ///< one command at a time
  commands,  ///< MAIL, RCPT and DATA together (RFC 2920)
  full       ///< and with the final dot of the message before
};

struct LoadOptions {
  Endpoint to;
  std::uint32_t sessions = 10;
  std::uint64_t messages = 1000;
  std::uint64_t messages_per_session = 0;  ///< then the connection is replaced; 0: never
  std::uint32_t threads = 1;
  double rate = 0;  ///< messages per second in all; 0: flat out
  std::string from;
  std::string ehlo = "load.invalid";
  bool lmtp = false;
  Pipeline pipeline = Pipeline::full;
  std::chrono::milliseconds connect_timeout{10000};  ///< a session without one for so long gives up
};

struct LoadTotals {
  std::uint64_t accepted = 0;  ///< messages with at least one recipient acknowledged
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;  ///< final dot sent, no reply came
  std::uint64_t unsent = 0;
  std::uint64_t recipients_accepted = 0;
  std::uint64_t recipients_refused = 0;
  std::uint64_t connections = 0;
  double started = 0;  ///< monotonic clock, in seconds, as the sink tells its times
  double seconds = 0;
  double processor_seconds = 0;
  std::vector<std::uint32_t> latencies;  ///< microseconds from final dot to reply, sorted
  std::string last_refusal;              ///< a reply, or why no connection was made
};

/// Runs to the end, or to SIGINT or SIGTERM. Throws when the host name does not resolve.
LoadTotals run_load(const LoadOptions& options, const MessageMaker& maker, RecordFile& record);

}  // namespace mansio::load
