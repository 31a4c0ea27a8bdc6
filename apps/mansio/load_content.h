// The messages of the load generator: a pure function of the options and the number of a message,
// so that a run can be repeated and a message found again by its token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::load {

/// The numbers of "d{1..1000}.example", both ends included, and what stands behind them.
struct NumberRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::string suffix;
};

struct WeightedDomain {
  std::string name;  ///< with a range: what stands before its numbers
  double weight = 1;
  std::optional<NumberRange> range;

  /// The domain; of a range the member whose turn it is.
  std::string at(std::uint64_t turn) const;
};

/// "a.example=3,b.example" : names with weights (1 if not given). "d{1..1000}.example" : as many
/// numbered domains, which take turns.
/// Throws std::invalid_argument with what was wrong.
std::vector<WeightedDomain> parse_domains(std::string_view text);

/// Thread safety: const calls may run concurrently.
class MessageMaker {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::uint64_t size = 4096;     ///< octets of content, at least those of the header
    std::uint32_t recipients = 1;  ///< per message
    std::string from;
    std::vector<WeightedDomain> domains;
  };

  explicit MessageMaker(Options options);

  /// Unique within a run: seed and number, of constant length.
  std::string token(std::uint64_t number) const;
  /// Each address is unique within a run. Chance decides between the entries of the domains; the
  /// members of a range take turns, so that N recipients over a range of N are one for each.
  std::vector<std::string> recipients(std::uint64_t number) const;
  std::string header(std::uint64_t number) const;

  /// The same for all messages: as it goes over the wire (leading dots doubled), without the final
  /// dot.
  std::string_view wire_body() const { return wire_body_; }

  std::uint64_t size() const { return size_; }

  /// CRC32C over header and body.
  std::uint32_t checksum(std::string_view header) const;

 private:
  const WeightedDomain& domain(std::uint64_t random) const;

  Options options_;
  std::vector<double> cumulative_;
  std::string body_;
  std::string wire_body_;
  std::uint64_t size_ = 0;
};

}  // namespace mansio::load
