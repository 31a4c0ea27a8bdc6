#include "smtp/content_meter.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mansio::smtp {
namespace {

/// Where the first of eight octets below 14 stands; 8: there is none. What ends a run is below 14,
/// and of other text only the tab and what nobody writes.
std::size_t first_below_14(const char* octets) {
  constexpr std::uint64_t each = 0x0101010101010101U;
  std::uint64_t word = 0;
  std::memcpy(&word, octets, sizeof(word));
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  // An octet below 14 borrows into its highest bit; what it does to those after it is no matter.
  const std::uint64_t below = (word - each * 14) & ~word & (each << 7);
  return static_cast<std::size_t>(std::countr_zero(below)) / 8;
}

bool ends_run(char c) { return c == '\r' || c == '\n' || c == '\0'; }

}  // namespace

std::size_t plain_run(std::string_view text) {
  std::size_t at = 0;
  while (text.size() - at >= 8) {
    const std::size_t step = first_below_14(text.data() + at);
    at += step;
    if (step == 8) continue;
    if (ends_run(text[at])) return at;
    ++at;
  }
  while (at < text.size() && !ends_run(text[at])) ++at;
  return at;
}

std::size_t plain_lines(std::string_view text, std::uint64_t& longest) {
  std::size_t used = 0;
  while (used < text.size() && text[used] != '.') {
    const std::size_t line = plain_run(text.substr(used));
    if (text.substr(used + line, 2) != "\r\n") break;
    longest = std::max<std::uint64_t>(longest, line);
    used += line + 2;
  }
  return used;
}

std::size_t ContentMeter::lines(std::string_view text, std::string& out) {
  const std::size_t size = plain_lines(text, longest_line_);
  size_ += size;
  if (!suppressed()) out.append(text.substr(0, size));
  return size;
}

void ContentMeter::octets(std::string_view run, std::string& out) {
  size_ += run.size();
  line_ += run.size();
  longest_line_ = std::max(longest_line_, line_);
  if (!suppressed()) out.append(run);
}

void ContentMeter::line_end(std::string& out) {
  size_ += 2;
  line_ = 0;
  if (!suppressed()) out.append("\r\n", 2);
}

void ContentMeter::lone(char octet, std::string& out) {
  bare_newline_ = true;
  if (normalize_) {
    line_end(out);
  } else {
    octets({&octet, 1}, out);
  }
}

}  // namespace mansio::smtp
