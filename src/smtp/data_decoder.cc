#include "smtp/data_decoder.h"

#include "base/assert.h"

namespace mansio::smtp {

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
        if (const std::size_t plain = lines(input.substr(at), out)) {
          at += plain;
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
