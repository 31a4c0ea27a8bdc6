// Points in time and lengths of time, and their text forms. Pure: nothing here reads a clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace mansio {

/// Length of time. One resolution everywhere, so that stored and computed values compare exactly.
using Duration = std::chrono::microseconds;
/// Wall-clock time, UTC. What is stored, logged and shown.
using Time = std::chrono::time_point<std::chrono::system_clock, Duration>;
/// Monotonic time. What deadlines and timers use.
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// "2026-03-01T12:00:00.123Z" (RFC 3339, UTC, milliseconds).
std::string to_rfc3339(Time time);
std::optional<Time> parse_rfc3339(std::string_view text);
/// "Sun, 1 Mar 2026 12:00:00 +0000" (RFC 5322 §3.3).
std::string to_rfc5322(Time time);

/// "90s", "15m", "4h", "5d", "250ms", also "1h30m". nullopt: not a duration, negative, or overflow.
std::optional<Duration> parse_duration(std::string_view text);
/// The shortest exact form that parse_duration reads back: 900 s is "15m".
std::string to_text(Duration duration);

}  // namespace mansio
