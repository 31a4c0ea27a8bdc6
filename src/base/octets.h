// Sizes in octets and rates, as settings and people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace mansio {

/// "512", "50KiB", "10MiB", "1GiB" (also KB, MB, GB of 1000). nullopt: not a size, or overflow.
std::optional<std::uint64_t> parse_octets(std::string_view text);
/// The shortest exact form: 10485760 is "10MiB".
std::string octets_to_text(std::uint64_t octets);

/// So many per period, evenly spaced, of which `burst` may come at once.
struct Rate {
  double count = 0;       ///< per `period`; 0 with an empty text means no limit
  Duration period{};      ///< 1 s, 1 min, 1 h or 1 d, or a number of seconds
  std::uint32_t burst = 1;
  friend bool operator==(const Rate&, const Rate&) = default;
};

/// "100/s", "10/m", "5000/h burst 50", "3/10s". nullopt: not a rate, zero or negative.
std::optional<Rate> parse_rate(std::string_view text);
std::string to_text(const Rate& rate);

}  // namespace mansio
