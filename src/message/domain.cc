#include "message/domain.h"

#include <idn2.h>

#include <algorithm>
#include <memory>

#include "base/text.h"
#include "message/utf8.h"

namespace mansio {
namespace {

// RFC 1035 §2.3.4; 255 octets on the wire are 253 characters.
constexpr std::size_t name_octets_max = 253;
constexpr std::size_t label_octets_max = 63;

// The base's destructor is protected, and nobody deletes a category.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class DomainCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "mansio.domain"; }

  std::string message(int value) const override {
    switch (static_cast<DomainError>(value)) {
      case DomainError::not_a_name:
        return "the domain has no ASCII form";
      case DomainError::too_long:
        return "the domain or one of its labels is too long";
    }
    return "unknown domain error";
  }
};

#pragma GCC diagnostic pop

struct Free {
  void operator()(char* text) const { idn2_free(text); }
};

bool lengths_fit(std::string_view name) {
  if (name.size() > name_octets_max) return false;
  std::size_t label = 0;
  for (const char c : name) {
    label = c == '.' ? 0 : label + 1;
    if (label > label_octets_max) return false;
  }
  return true;
}

bool is_name_octet(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

Result<std::string> converted(std::string_view name) {
  // NUL would end what the library reads.
  if (name.find('\0') != std::string_view::npos) return DomainError::not_a_name;
  char* raw = nullptr;
  const int status =
      idn2_to_ascii_8z(std::string(name).c_str(), &raw, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, Free> ascii(raw);
  if (status == IDN2_TOO_BIG_DOMAIN || status == IDN2_TOO_BIG_LABEL ||
      status == IDN2_PUNYCODE_BIG_OUTPUT) {
    return DomainError::too_long;
  }
  if (status != IDN2_OK || ascii == nullptr) return DomainError::not_a_name;
  std::string result = to_lower(ascii.get());
  // The mapping turns some characters into ASCII that no name may hold, or into more dots: what
  // reads as one name must not become another.
  const bool same_labels =
      std::count(result.begin(), result.end(), '.') == std::count(name.begin(), name.end(), '.');
  if (!same_labels || !std::all_of(result.begin(), result.end(), is_name_octet)) {
    return DomainError::not_a_name;
  }
  for (const std::string_view label : split(result, '.')) {
    if (label.empty()) return DomainError::not_a_name;
  }
  return result;
}

}  // namespace

ErrorCode make_error_code(DomainError error) {
  static const DomainCategory category;
  return {static_cast<int>(error), category};
}

Result<std::string> to_a_labels(std::string_view domain) {
  if (domain.starts_with('[')) return to_lower(domain);
  const bool final_dot = domain.size() > 1 && domain.ends_with('.');
  if (final_dot) domain.remove_suffix(1);
  std::string name;
  if (is_ascii(domain)) {
    name = to_lower(domain);
  } else {
    auto ascii = converted(domain);
    if (!ascii) return ascii.error();
    name = std::move(*ascii);
  }
  if (!lengths_fit(name)) return DomainError::too_long;
  if (final_dot) name += '.';
  return name;
}

}  // namespace mansio
