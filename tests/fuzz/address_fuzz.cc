// Any octets as an address, a domain or an ORCPT: what is accepted can be written, read again,
// named to hosts without SMTPUTF8 or refused to them, and never starts a line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "message/address.h"
#include "message/domain.h"
#include "message/original_recipient.h"
#include "message/utf8.h"

using namespace mansio;

namespace {

bool has_controls(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

void check_address(std::string_view text, bool utf8) {
  const auto parsed = Address::parse(text, utf8);
  if (!parsed) return;
  MANSIO_ASSERT(parsed->to_string() == text && !has_controls(text));
  MANSIO_ASSERT(utf8 || !parsed->needs_utf8());
  const std::string destination = destination_of(*parsed, "local.example");
  MANSIO_ASSERT(is_ascii(destination) && !has_controls(destination));
  if (const auto ascii = ascii_address(*parsed)) {
    MANSIO_ASSERT(is_ascii(ascii->to_string()) && ascii->local == parsed->local);
    MANSIO_ASSERT(destination_of(*ascii, "local.example") == destination);
  } else {
    MANSIO_ASSERT(!is_ascii(parsed->local));
  }
  const std::string orcpt = original_recipient_of(*parsed);
  MANSIO_ASSERT(is_ascii(orcpt));
  MANSIO_ASSERT(orcpt.size() > 500 || valid_original_recipient(orcpt, false));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_address(text, true);
  check_address(text, false);
  if (const auto domain = to_a_labels(text)) {
    MANSIO_ASSERT(is_ascii(*domain) || text.starts_with('['));
    const auto again = to_a_labels(*domain);
    MANSIO_ASSERT(again && *again == *domain);
  }
  if (valid_original_recipient(text, true)) {
    const std::string ascii = ascii_original_recipient(text);
    MANSIO_ASSERT(is_ascii(ascii) && !has_controls(ascii));
    MANSIO_ASSERT(ascii.size() > 500 || valid_original_recipient(ascii, true));
  }
  return 0;
}
