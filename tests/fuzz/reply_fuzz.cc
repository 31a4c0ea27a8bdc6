// Whatever a server answers: pieces never matter, what is kept is bounded, and what it offers can
// be read from any text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "smtp/client_extensions.h"
#include "smtp/reply_reader.h"

using namespace mansio;
using namespace mansio::smtp;

namespace {

struct Result {
  std::vector<Reply> replies;
  bool failed = false;
};

Result read(std::string_view input, std::size_t chunk) {
  Result result;
  ReplyReader reader;
  for (std::size_t at = 0; at < input.size() && !reader.failed();) {
    at += reader.feed(input.substr(at, chunk));
    if (reader.complete()) result.replies.push_back(reader.take());
  }
  result.failed = reader.failed();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t chunk = std::max<std::size_t>(data[0], 1);
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Result whole = read(input, input.size() + 1);
  const Result pieces = read(input, chunk);
  MANSIO_ASSERT(whole.replies == pieces.replies && whole.failed == pieces.failed);
  for (const Reply& reply : whole.replies) {
    MANSIO_ASSERT(reply.code >= 200 && reply.code <= 599);
    MANSIO_ASSERT(reply.text.size() <= ReplyLimits{}.text);
    MANSIO_ASSERT(!reply.enhanced.present() || reply.enhanced.klass == reply.code / 100);
    MANSIO_ASSERT(reply.to_string().find_first_of("\r\n") == std::string::npos);
    const Extensions offered = parse_extensions(reply.text);
    MANSIO_ASSERT(offered.size || offered.size_max == 0);
  }
  return 0;
}
