#include "smtp/content_meter.h"

#include <algorithm>
#include <cstring>

namespace mansio::smtp {

std::size_t plain_run(std::string_view text) {
  // memchr runs over many octets at once; the limits shrink, so each octet is seen at most thrice.
  std::size_t size = text.size();
  for (int octet : {'\n', '\r', '\0'}) {
    if (const void* found = std::memchr(text.data(), octet, size)) {
      size = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
    }
  }
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
