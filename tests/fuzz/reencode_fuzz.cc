// Any message: what a conversion gives keeps the rule that it was made for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "message/reencode.h"
#include "message/utf8.h"

using namespace mansio;

namespace {

std::size_t longest_line(std::string_view text) {
  std::size_t longest = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\r\n"), text.size());
    longest = std::max(longest, end);
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return longest;
}

bool is_text(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0' || text[i] == '\n') return false;
    if (text[i] != '\r') continue;
    if (i + 1 == text.size() || text[i + 1] != '\n') return false;
    ++i;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  std::string why;
  if (const auto seven = to_seven_bit(message, why)) MANSIO_ASSERT(is_ascii(*seven));
  if (const auto shorter = to_short_lines(message, 80, why)) {
    MANSIO_ASSERT(longest_line(*shorter) <= 80);
  }
  for (const bool seven_bit : {false, true}) {
    const auto text = to_text(message, seven_bit, why);
    if (!text) continue;
    MANSIO_ASSERT(is_text(*text) && longest_line(*text) <= 998);
    MANSIO_ASSERT(!seven_bit || is_ascii(*text));
  }
  return 0;
}
