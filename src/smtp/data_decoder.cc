#include "smtp/data_decoder.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace mansio::smtp {
namespace {

/// Octets of `text` before the first CR, LF or NUL.
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

}  // namespace

void DataDecoder::octets(std::string_view run, std::string& out) {
  size_ += run.size();
  line_ += run.size();
  longest_line_ = std::max(longest_line_, line_);
  if (!suppressed()) out.append(run);
}

void DataDecoder::line_end(std::string& out) {
  size_ += 2;
  line_ = 0;
  if (!suppressed()) out.append("\r\n", 2);
}

void DataDecoder::lone(char octet, std::string& out) {
  bare_newline_ = true;
  if (normalize_) {
    line_end(out);
  } else {
    octets({&octet, 1}, out);
  }
}

std::size_t DataDecoder::decode(std::string_view input, std::string& out) {
  MANSIO_ASSERT(!done_);
  std::size_t at = 0;
  while (at < input.size()) {
    const char next = input[at];
    switch (state_) {
      case State::line_start:
        if (next == '.') {
          state_ = State::dot;
          ++at;
          break;
        }
        state_ = State::middle;
        break;
      case State::dot:
        if (next == '\r') {
          state_ = State::dot_cr;
          ++at;
          break;
        }
        state_ = State::middle;  // the dot was stuffing
        break;
      case State::dot_cr:
        if (next == '\n') {
          done_ = true;
          return at + 1;
        }
        lone('\r', out);
        state_ = State::middle;
        break;
      case State::cr:
        if (next == '\n') {
          line_end(out);
          state_ = State::line_start;
          ++at;
          break;
        }
        lone('\r', out);
        state_ = State::middle;
        break;
      case State::middle:
        if (next == '\r') {
          state_ = State::cr;
          ++at;
        } else if (next == '\n') {
          lone('\n', out);
          ++at;
        } else if (next == '\0') {
          nul_ = true;
          ++at;
        } else {
          const std::size_t run = plain_run(input.substr(at));
          octets(input.substr(at, run), out);
          at += run;
        }
        break;
    }
  }
  return at;
}

}  // namespace mansio::smtp
