#include "smtp/chunk_decoder.h"

namespace mansio::smtp {

void ChunkDecoder::decode(std::string_view input, std::string& out) {
  if (binary_) {
    octets(input, out);
    return;
  }
  while (!input.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (input.front() == '\n') {
        line_end(out);
        input.remove_prefix(1);
      } else {
        lone('\r', out);
      }
      continue;
    }
    const std::size_t run = plain_run(input);
    if (run > 0) octets(input.substr(0, run), out);
    input.remove_prefix(run);
    if (input.empty()) return;
    const char next = input.front();
    input.remove_prefix(1);
    if (next == '\r') {
      after_cr_ = true;
    } else if (next == '\n') {
      lone('\n', out);
    } else {
      nul_ = true;
    }
  }
}

void ChunkDecoder::finish(std::string& out) {
  if (after_cr_) lone('\r', out);
  after_cr_ = false;
}

}  // namespace mansio::smtp
