// The queue id: 128 bits, sortable by time, shown as 26 characters (ULID layout: 48 bits of
// milliseconds, 80 bits of randomness; Crockford base 32, upper case).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/time.h"

namespace mansio {

struct QueueId {
  std::array<std::uint8_t, 16> octets{};  ///< big endian: octet order is time order

  friend auto operator<=>(const QueueId&, const QueueId&) = default;

  /// 26 characters.
  std::string to_string() const;
  /// Case-insensitive; nullopt unless exactly 26 characters that encode 128 bits.
  static std::optional<QueueId> parse(std::string_view text);
  /// When the id was made (milliseconds).
  Time time() const;
  bool is_nil() const { return *this == QueueId{}; }
};

/// Makes ids that never repeat and grow within one source, also within a millisecond.
/// Thread safety: one event loop per source.
class IdSource {
 public:
  /// `random` must outlive the source.
  explicit IdSource(Random& random) : random_(random) {}

  QueueId next(Time now);

 private:
  Random& random_;
  QueueId last_{};
};

}  // namespace mansio

template <>
struct std::hash<mansio::QueueId> {
  std::size_t operator()(const mansio::QueueId& id) const noexcept {
    // The low 64 bits are random; time bits would cluster.
    std::uint64_t low = 0;
    for (int i = 8; i < 16; ++i) low = low << 8 | id.octets[static_cast<std::size_t>(i)];
    return static_cast<std::size_t>(low);
  }
};
