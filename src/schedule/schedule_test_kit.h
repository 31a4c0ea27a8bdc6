// What tests and benchmarks of the scheduler share: a time to begin at, ids by number, flows by
// destination. For tests only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "schedule/work.h"

namespace mansio::schedule {

constexpr Time start{std::chrono::hours(500'000)};

inline QueueId id_of(std::uint64_t number) {
  QueueId id;
  id.octets[0] = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    id.octets[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  return id;
}

inline FlowKey flow_to(const std::string& destination,
                       PriorityClass klass = PriorityClass::normal) {
  return {{destination, "default"}, klass, 0};
}

}  // namespace mansio::schedule
