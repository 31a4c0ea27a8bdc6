// Whatever comes after 354: the end is CR LF . CR LF and nothing else, chunking never matters, and
// accepted content has no CR or LF that stands alone.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "smtp/data_decoder.h"

using mansio::smtp::DataDecoder;

namespace {

struct Result {
  std::string content;
  std::size_t used = 0;
  bool done = false, bare = false, nul = false;
};

Result decode(std::string_view input, bool normalize, std::size_t chunk) {
  DataDecoder decoder(normalize);
  Result result;
  while (!decoder.done() && result.used < input.size()) {
    result.used += decoder.decode(input.substr(result.used, chunk), result.content);
  }
  result.done = decoder.done();
  result.bare = decoder.bare_newline();
  result.nul = decoder.nul();
  return result;
}

bool has_lone_octet(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return true;
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] != '\n') return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t chunk = std::max<std::size_t>(data[0], 1);
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t end = ("\r\n" + std::string(input)).find("\r\n.\r\n");
  for (const bool normalize : {false, true}) {
    const Result whole = decode(input, normalize, input.size() + 1);
    const Result pieces = decode(input, normalize, chunk);
    MANSIO_ASSERT(whole.content == pieces.content && whole.used == pieces.used);
    MANSIO_ASSERT(whole.done == pieces.done && whole.bare == pieces.bare);
    MANSIO_ASSERT(whole.done == (end != std::string::npos));
    MANSIO_ASSERT(!whole.done || whole.used == end + 3);
    const bool accepted = whole.done && !whole.nul && (normalize || !whole.bare);
    MANSIO_ASSERT(!accepted || !has_lone_octet(whole.content));
  }
  return 0;
}
