#include "base/id.h"

namespace mansio {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford base 32
constexpr std::size_t kCharacters = 26;                                     // 130 bits, 2 unused
constexpr std::size_t kTimeOctets = 6;

int digit(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  const auto at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::uint64_t milliseconds_of(const QueueId& id) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kTimeOctets; ++i) value = value << 8 | id.octets[i];
  return value;
}

/// The id as a 128-bit number, plus one.
void increment(QueueId& id) {
  for (std::size_t i = id.octets.size(); i-- > 0;) {
    if (++id.octets[i] != 0) return;
  }
}

}  // namespace

std::string QueueId::to_string() const {
  // Five bits at a time from the low end.
  std::string text(kCharacters, '0');
  unsigned pending = 0;
  unsigned bits = 0;
  std::size_t at = octets.size();
  for (std::size_t i = kCharacters; i-- > 0;) {
    if (bits < 5 && at > 0) {
      pending |= static_cast<unsigned>(octets[--at]) << bits;
      bits += 8;
    }
    text[i] = kAlphabet[pending & 31u];
    pending >>= 5;
    bits = bits > 5 ? bits - 5 : 0;
  }
  return text;
}

std::optional<QueueId> QueueId::parse(std::string_view text) {
  if (text.size() != kCharacters) return std::nullopt;
  if (const int first = digit(text.front()); first < 0 || first > 7) return std::nullopt;
  QueueId id;
  unsigned pending = 0;
  unsigned bits = 0;
  std::size_t at = id.octets.size();
  for (std::size_t i = kCharacters; i-- > 0;) {
    const int value = digit(text[i]);
    if (value < 0) return std::nullopt;
    pending |= static_cast<unsigned>(value) << bits;
    bits += 5;
    if (bits >= 8 && at > 0) {
      id.octets[--at] = static_cast<std::uint8_t>(pending & 0xffu);
      pending >>= 8;
      bits -= 8;
    }
  }
  return id;
}

Time QueueId::time() const {
  return Time(std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds_of(*this))));
}

QueueId IdSource::next(Time now) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  const auto milliseconds = static_cast<std::uint64_t>(since < 0 ? 0 : since);
  if (!last_.is_nil() && milliseconds <= milliseconds_of(last_)) {
    // Same millisecond, or the wall clock went back: keep growing from the last one.
    increment(last_);
    return last_;
  }
  for (std::size_t i = 0; i < kTimeOctets; ++i) {
    last_.octets[i] = static_cast<std::uint8_t>(milliseconds >> (8 * (kTimeOctets - 1 - i)));
  }
  std::uint64_t number = random_.next();
  for (std::size_t i = kTimeOctets; i < last_.octets.size(); ++i) {
    if (i == kTimeOctets + 8) number = random_.next();
    last_.octets[i] = static_cast<std::uint8_t>(number);
    number >>= 8;
  }
  return last_;
}

}  // namespace mansio
