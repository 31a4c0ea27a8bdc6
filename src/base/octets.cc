#include "base/octets.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace mansio {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t octets;
};

constexpr std::array<Unit, 9> kUnits{{{"TiB", 1ull << 40},
                                      {"GiB", 1ull << 30},
                                      {"MiB", 1ull << 20},
                                      {"KiB", 1ull << 10},
                                      {"TB", 1'000'000'000'000},
                                      {"GB", 1'000'000'000},
                                      {"MB", 1'000'000},
                                      {"KB", 1'000},
                                      {"", 1}}};

/// "s", "m", "h", "d" (one of them) or a duration such as "10s".
std::optional<Duration> parse_period(std::string_view text) {
  const auto one = parse_duration("1" + std::string(text));
  const bool named = text == "s" || text == "m" || text == "h" || text == "d";
  const auto period = named ? one : parse_duration(text);
  if (!period || *period <= Duration::zero()) return std::nullopt;
  return period;
}

/// Digits with at most one point; from_chars alone would take signs, "inf" and exponents.
std::optional<double> parse_count(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.') return std::nullopt;
  if (text.find_first_not_of("0123456789.") != text.npos) return std::nullopt;
  double count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

}  // namespace

std::optional<std::uint64_t> parse_octets(std::string_view text) {
  const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_decimal(text.substr(0, digits));
  if (!count) return std::nullopt;
  for (const auto& [name, octets] : kUnits) {
    if (name != text.substr(digits)) continue;
    if (*count > std::numeric_limits<std::uint64_t>::max() / octets) return std::nullopt;
    return *count * octets;
  }
  return std::nullopt;
}

std::string octets_to_text(std::uint64_t octets) {
  std::string shortest = std::to_string(octets);
  if (octets == 0) return shortest;
  // The first of equal length wins, so that binary units are preferred; a plain number loses.
  bool found = false;
  for (const auto& [name, unit] : kUnits) {
    if (octets % unit != 0 || name.empty()) continue;
    auto text = std::to_string(octets / unit) + std::string(name);
    if (text.size() < shortest.size() || (!found && text.size() == shortest.size())) {
      shortest = std::move(text);
      found = true;
    }
  }
  return shortest;
}

std::optional<Rate> parse_rate(std::string_view text) {
  const auto words = split(trim(text), ' ');
  if (words.size() != 1 && words.size() != 3) return std::nullopt;
  const auto slash = words[0].find('/');
  if (slash == std::string_view::npos) return std::nullopt;

  const auto count = parse_count(words[0].substr(0, slash));
  const auto period = parse_period(words[0].substr(slash + 1));
  if (!count || *count <= 0 || !period) return std::nullopt;
  Rate rate;
  rate.count = *count;
  rate.period = *period;
  if (words.size() == 3) {
    const auto burst = parse_decimal(words[2]);
    if (words[1] != "burst" || !burst || *burst == 0) return std::nullopt;
    if (*burst > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    rate.burst = static_cast<std::uint32_t>(*burst);
  }
  return rate;
}

std::string to_text(const Rate& rate) {
  if (rate.count == 0) return "";
  auto period = to_text(rate.period);
  if (rate.period == std::chrono::days(1)) period = "d";
  if (rate.period == std::chrono::hours(1)) period = "h";
  if (rate.period == std::chrono::minutes(1)) period = "m";
  if (rate.period == std::chrono::seconds(1)) period = "s";
  auto text = fmt::format("{}/{}", rate.count, period);
  if (rate.burst != 1) text += fmt::format(" burst {}", rate.burst);
  return text;
}

}  // namespace mansio
