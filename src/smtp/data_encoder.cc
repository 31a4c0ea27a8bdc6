#include "smtp/data_encoder.h"

#include <cstddef>
#include <cstdint>

#include "smtp/content_meter.h"

namespace mansio::smtp {

void DataEncoder::end_line(Outgoing& out) {
  out.copy("\r\n");
  at_line_start_ = true;
}

void DataEncoder::feed(std::string_view octets, Outgoing& out) {
  if (after_cr_ && !octets.empty()) {
    after_cr_ = false;
    if (octets.front() == '\n') {
      octets.remove_prefix(1);
    } else {
      repaired_ = true;
    }
    end_line(out);
  }
  while (!octets.empty()) {
    if (at_line_start_) {
      std::uint64_t ignored = 0;
      const std::size_t plain = plain_lines(octets, ignored);
      out.refer(octets.substr(0, plain));
      octets.remove_prefix(plain);
      if (octets.empty()) return;
      if (octets.front() == '.') out.copy(".");
    }
    // A line's text ends at the first LF; a CR before that is looked for only within the line.
    const std::size_t newline = octets.find('\n');
    const std::string_view line = octets.substr(0, newline);
    const std::size_t carriage_return = line.find('\r');
    const std::string_view text = line.substr(0, carriage_return);
    if (!text.empty()) {
      out.refer(text);
      at_line_start_ = false;
    }
    octets.remove_prefix(text.size());
    if (octets.empty()) return;
    if (octets.front() == '\n') {
      repaired_ = true;
      octets.remove_prefix(1);
      end_line(out);
      continue;
    }
    octets.remove_prefix(1);
    if (octets.empty()) {
      after_cr_ = true;
      return;
    }
    if (octets.front() == '\n') {
      octets.remove_prefix(1);
    } else {
      repaired_ = true;
    }
    end_line(out);
  }
}

void DataEncoder::finish(Outgoing& out) {
  if (after_cr_) {
    after_cr_ = false;
    repaired_ = true;
    end_line(out);
  }
  if (!at_line_start_) end_line(out);
  out.copy(".\r\n");
}

}  // namespace mansio::smtp
