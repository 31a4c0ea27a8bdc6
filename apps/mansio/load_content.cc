#include "mansio/load_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/checksum.h"
#include "base/text.h"
#include "mansio/load_record.h"

namespace mansio::load {

namespace {

/// One step of splitmix64: well mixed numbers from consecutive ones.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15U;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

/// Lines of letters, every seventh with a leading dot, cut to exactly `octets` (at least a CRLF).
std::string make_body(std::uint64_t seed, std::uint64_t octets) {
  constexpr std::string_view letters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -";
  constexpr std::uint64_t line_octets = 76;
  std::string body;
  body.reserve(octets);
  std::uint64_t random = seed;
  for (std::uint64_t line = 0; body.size() < octets; ++line) {
    const std::uint64_t left = octets - body.size();
    // What remains after a line must be nothing or hold a CRLF of its own.
    std::uint64_t length = std::min(left, line_octets + 2);
    if (left - length == 1) --length;
    for (std::uint64_t i = 0; i + 2 < length; ++i) {
      random = mixed(random);
      body += i == 0 && line % 7 == 3 ? '.' : letters[random % letters.size()];
    }
    body += "\r\n";
  }
  return body;
}

std::string doubled_dots(std::string_view body) {
  std::string wire;
  wire.reserve(body.size() + body.size() / 64);
  bool line_start = true;
  for (const char octet : body) {
    if (line_start && octet == '.') wire += '.';
    wire += octet;
    line_start = octet == '\n';
  }
  return wire;
}

/// Takes "{1..1000}" and what follows out of the name.
void take_range(WeightedDomain& domain) {
  const std::size_t open = domain.name.find('{');
  if (open == std::string::npos) return;
  const std::size_t close = domain.name.find('}', open);
  const std::string_view name = domain.name;
  const std::string_view inside =
      close == std::string::npos ? "" : name.substr(open + 1, close - open - 1);
  const std::size_t dots = inside.find("..");
  const auto first = parse_decimal(inside.substr(0, dots));
  const auto last = parse_decimal(dots == std::string_view::npos ? "" : inside.substr(dots + 2));
  if (!first || !last || *last < *first) {
    throw std::invalid_argument(
        fmt::format("\"{}\" has no range such as {{1..1000}}", domain.name));
  }
  domain.range = NumberRange{*first, *last, std::string(name.substr(close + 1))};
  domain.name.resize(open);
}

}  // namespace

std::string WeightedDomain::at(std::uint64_t turn) const {
  if (!range) return name;
  const std::uint64_t members = range->last - range->first + 1;
  return fmt::format("{}{}{}", name, range->first + turn % members, range->suffix);
}

std::vector<WeightedDomain> parse_domains(std::string_view text) {
  std::vector<WeightedDomain> domains;
  for (const std::string_view item : split(text, ',')) {
    const std::string_view entry = trim(item);
    const std::size_t equals = entry.find('=');
    WeightedDomain domain;
    domain.name = entry.substr(0, equals);
    if (equals != std::string_view::npos) {
      const std::string weight(entry.substr(equals + 1));
      char* end = nullptr;
      domain.weight = std::strtod(weight.c_str(), &end);
      if (end == weight.c_str() || *end != '\0' || !(domain.weight > 0)) {
        throw std::invalid_argument(fmt::format("\"{}\" is not a weight above 0", weight));
      }
    }
    if (domain.name.empty()) throw std::invalid_argument("a domain has no name");
    take_range(domain);
    domains.push_back(std::move(domain));
  }
  return domains;
}

MessageMaker::MessageMaker(Options options) : options_(std::move(options)) {
  double sum = 0;
  for (const WeightedDomain& domain : options_.domains) {
    sum += domain.weight;
    cumulative_.push_back(sum);
  }
  const std::size_t header_size = header(0).size();
  const std::uint64_t body_size =
      std::max<std::uint64_t>(options_.size, header_size + 2) - header_size;
  body_ = make_body(options_.seed, body_size);
  wire_body_ = doubled_dots(body_);
  size_ = header_size + body_.size();
}

std::string MessageMaker::token(std::uint64_t number) const {
  return fmt::format("{:016x}-{:012}", options_.seed, number);
}

const WeightedDomain& MessageMaker::domain(std::uint64_t random) const {
  const double point = static_cast<double>(random >> 11) * 0x1.0p-53 * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), point);
  const auto index = std::min<std::size_t>(static_cast<std::size_t>(found - cumulative_.begin()),
                                           cumulative_.size() - 1);
  return options_.domains[index];
}

std::vector<std::string> MessageMaker::recipients(std::uint64_t number) const {
  std::vector<std::string> recipients;
  recipients.reserve(options_.recipients);
  const std::uint64_t base = mixed(options_.seed ^ mixed(number));
  for (std::uint32_t i = 0; i < options_.recipients; ++i) {
    const std::string domain_name = domain(mixed(base + i)).at(number * options_.recipients + i);
    recipients.push_back(fmt::format("load{}.{}@{}", number, i, domain_name));
  }
  return recipients;
}

std::string MessageMaker::header(std::uint64_t number) const {
  const std::string id = token(number);
  // Fields of constant length, so that one body fits all. The date is fixed: equal runs are equal.
  return fmt::format(
      "{}{}\r\nFrom: <{}>\r\nTo: undisclosed-recipients:;\r\nSubject: load {}\r\n"
      "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <{}@load.invalid>\r\n\r\n",
      token_field, id, options_.from, id, id);
}

std::uint32_t MessageMaker::checksum(std::string_view header) const {
  return crc32c(body_, crc32c(header));
}

}  // namespace mansio::load
