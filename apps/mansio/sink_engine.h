// The engine of `mansio sink`: an SMTP and LMTP server as state machines over plain Asio handlers,
// one event loop per thread. A pipelined message costs one read and one write of its session.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/stream.h"
#include "mansio/sink_arrivals.h"
#include "mansio/sink_rules.h"

namespace mansio::sink {

struct SinkOptions {
  Endpoint listen;
  bool lmtp = false;
  std::uint32_t threads = 1;
  std::uint64_t messages = 0;  ///< stop after so many; 0: never
  std::string hostname = "sink.invalid";
  std::vector<std::string> extensions;  ///< lines of the EHLO reply
  std::vector<Rule> rules;
  std::uint64_t seed = 1;
};

struct SinkTotals {
  std::uint64_t connections = 0;
  std::uint64_t refused = 0;     ///< negative replies by rule
  std::uint64_t cut = 0;         ///< connections closed after the final dot, by rule
  double seconds = 0;            ///< from the first arrival to the last
  double fresh_arrival = 0;      ///< the first since the last SIGUSR1; 0: none
  double last_arrival = 0;       ///< these two by the monotonic clock, in seconds; 0: none
  double processor_seconds = 0;  ///< since the sink listens
};

/// Serves until SIGINT or SIGTERM, or until `options.messages` have arrived. Calls `listening`
/// once, with the port, and at each SIGUSR1 `asked` with what there is so far, on the first loop.
/// Throws boost::system::system_error when the address cannot be listened on.
SinkTotals run_sink(const SinkOptions& options, Arrivals& arrivals,
                    const std::function<void(const Endpoint&)>& listening,
                    const std::function<void(const SinkTotals&)>& asked);

}  // namespace mansio::sink
