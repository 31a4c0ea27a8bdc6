// Octets of BDAT chunks: where they are cut never matters, binary content stays as it is, and
// accepted text has no CR or LF that stands alone.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "smtp/chunk_decoder.h"
#include "smtp/command.h"

using mansio::smtp::ChunkDecoder;

namespace {

struct Result {
  std::string content;
  bool bare = false, nul = false;
  std::uint64_t size = 0;
};

Result decode(std::string_view input, bool binary, bool normalize, std::size_t chunk) {
  ChunkDecoder decoder(binary, normalize);
  Result result;
  for (std::size_t at = 0; at < input.size(); at += chunk) {
    decoder.decode(input.substr(at, chunk), result.content);
  }
  decoder.finish(result.content);
  result.bare = decoder.bare_newline();
  result.nul = decoder.nul();
  result.size = decoder.size();
  return result;
}

bool has_lone_octet(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) return true;
    if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t chunk = std::max<std::size_t>(data[0], 1);
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  for (const bool normalize : {false, true}) {
    const Result whole = decode(input, false, normalize, input.size() + 1);
    const Result pieces = decode(input, false, normalize, chunk);
    MANSIO_ASSERT(whole.content == pieces.content && whole.size == pieces.size);
    MANSIO_ASSERT(whole.bare == pieces.bare && whole.nul == pieces.nul);
    MANSIO_ASSERT(whole.bare == has_lone_octet(input) || whole.nul);
    const bool accepted = !whole.nul && (normalize || !whole.bare);
    MANSIO_ASSERT(!accepted || !has_lone_octet(whole.content));
    MANSIO_ASSERT(!accepted || whole.size == whole.content.size());
    MANSIO_ASSERT(decode(input, true, normalize, chunk).content == input);
  }
  const auto command = mansio::smtp::parse_bdat(input);
  MANSIO_ASSERT(!command || command->size < (std::uint64_t{1} << 63));
  return 0;
}
