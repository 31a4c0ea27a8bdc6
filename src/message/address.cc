// The grammar is read by one cursor that never goes back: a function takes its production from the
// front of the text or reports why it cannot. Octets taken are copied as they are.
#include "message/address.h"

#include <algorithm>

#include "base/text.h"
#include "message/domain.h"
#include "message/utf8.h"

namespace mansio {

namespace {

// RFC 5321 §4.5.3.1; a path counts its angle brackets.
constexpr std::size_t local_octets_max = 64;
constexpr std::size_t domain_octets_max = 255;
constexpr std::size_t label_octets_max = 63;
constexpr std::size_t path_octets_max = 256;

// The base's destructor is protected, and nobody deletes a category.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class AddressCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "mansio.address"; }

  std::string message(int value) const override {
    switch (static_cast<AddressError>(value)) {
      case AddressError::syntax:
        return "not a mail address";
      case AddressError::local_too_long:
        return "local part is longer than 64 octets";
      case AddressError::domain_too_long:
        return "domain or one of its labels is too long";
      case AddressError::path_too_long:
        return "address is longer than 254 octets";
      case AddressError::utf8_not_allowed:
        return "address needs SMTPUTF8";
      case AddressError::utf8_invalid:
        return "address holds invalid UTF-8 or control characters";
      case AddressError::domain_invalid:
        return "domain has no ASCII form";
    }
    return "unknown address error";
  }
};

#pragma GCC diagnostic pop

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// atext of RFC 5322 §3.2.3.
bool is_atext(char c) {
  return is_letter_or_digit(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

/// What IDNA would read as a dot, a space or an at sign: an address that looks like another one.
bool is_lookalike_separator(char32_t c) {
  return c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x3000 || c == 0x3002 || c == 0xFF0E ||
         c == 0xFF61 || c == 0xFF20 || c == 0xFE52;
}

/// The octets of one production, or why it is none.
using Taken = Result<std::string_view>;

class Cursor {
 public:
  Cursor(std::string_view text, bool allow_utf8) : text_(text), allow_utf8_(allow_utf8) {}

  bool at_end() const { return text_.empty(); }

  std::string_view left() const { return text_; }

  bool next_is(char c) const { return !text_.empty() && text_.front() == c; }

  bool take(char c) {
    if (!next_is(c)) return false;
    text_.remove_prefix(1);
    return true;
  }

  /// Dot-string or Quoted-string.
  Taken take_local() {
    const std::string_view start = text_;
    const Result<void> read = next_is('"') ? read_quoted() : read_dot_string();
    if (!read) return read.error();
    const std::string_view local = start.substr(0, start.size() - text_.size());
    if (local.size() > local_octets_max) return AddressError::local_too_long;
    return local;
  }

  /// Domain or address literal.
  Taken take_domain() {
    const std::string_view start = text_;
    const Result<void> read = next_is('[') ? read_literal() : read_labels();
    if (!read) return read.error();
    const std::string_view domain = start.substr(0, start.size() - text_.size());
    if (domain.size() > domain_octets_max) return AddressError::domain_too_long;
    return domain;
  }

 private:
  bool next_is_utf8() const {
    return !text_.empty() && static_cast<unsigned char>(text_.front()) >= 0x80;
  }

  Result<char32_t> take_character() {
    if (!allow_utf8_) return AddressError::utf8_not_allowed;
    const auto character = take_utf8(text_);
    if (!character || is_steering_character(*character)) return AddressError::utf8_invalid;
    return *character;
  }

  Result<void> read_dot_string() {
    do {
      std::size_t atom = 0;
      while (!text_.empty()) {
        if (next_is_utf8()) {
          const auto character = take_character();
          if (!character) return character.error();
        } else if (is_atext(text_.front())) {
          text_.remove_prefix(1);
        } else {
          break;
        }
        ++atom;
      }
      if (atom == 0) return AddressError::syntax;  // empty, "..", leading or trailing dot
    } while (take('.'));
    return {};
  }

  Result<void> read_quoted() {
    take('"');
    while (!text_.empty()) {
      if (next_is_utf8()) {
        const auto character = take_character();
        if (!character) return character.error();
        continue;
      }
      if (take('"')) return {};
      take('\\');  // a quoted pair: what follows is taken whatever it is
      if (text_.empty() || text_.front() < ' ' || text_.front() > '~') return AddressError::syntax;
      text_.remove_prefix(1);
    }
    return AddressError::syntax;  // unbalanced
  }

  /// Labels of letters, digits, hyphens and (found in real host names) underscores; a final dot is
  /// let through and cut by destination_of().
  Result<void> read_labels() {
    bool first = true;
    do {
      if (!first && (text_.empty() || next_is('>') || next_is(',') || next_is(':'))) return {};
      const auto read = read_label();
      if (!read) return read.error();
      first = false;
    } while (take('.'));
    return {};
  }

  Result<void> read_label() {
    std::size_t characters = 0;
    const std::string_view start = text_;
    while (!text_.empty()) {
      if (next_is_utf8()) {
        const auto character = take_character();
        if (!character) return character.error();
        if (is_lookalike_separator(*character)) return AddressError::utf8_invalid;
      } else if (is_letter_or_digit(text_.front()) || next_is('-') || next_is('_')) {
        text_.remove_prefix(1);
      } else {
        break;
      }
      ++characters;
    }
    const std::size_t octets = start.size() - text_.size();
    if (octets == 0) return AddressError::syntax;
    if (start.front() == '-' || start[octets - 1] == '-') return AddressError::syntax;
    // The A-label of a U-label is never shorter than "xn--" and one octet per character.
    const bool ascii = characters == octets;
    const std::size_t least = ascii ? octets : characters + 4;
    if (least > label_octets_max) return AddressError::domain_too_long;
    return {};
  }

  /// IPv4 and IPv6 address literals of RFC 5321 §4.1.3; no other tag is registered.
  Result<void> read_literal() {
    const std::size_t end = text_.find(']');
    if (end == std::string_view::npos) return AddressError::syntax;
    const std::string_view inside = text_.substr(1, end - 1);
    const bool ipv6 = inside.size() > 5 && equals_ignoring_case(inside.substr(0, 5), "IPv6:");
    if (!(ipv6 ? is_ipv6(inside.substr(5)) : is_ipv4(inside))) return AddressError::syntax;
    text_.remove_prefix(end + 1);
    return {};
  }

  static bool is_ipv4(std::string_view text) {
    const auto parts = split(text, '.');
    return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
             const auto value = part.size() <= 3 ? parse_decimal(part) : std::nullopt;
             return value && *value <= 255 && (part.size() == 1 || part[0] != '0');
           });
  }

  /// Groups on one side of "::"; counts 16-bit units. nullopt: not groups.
  static std::optional<std::size_t> count_groups(std::string_view text, bool may_end_in_ipv4) {
    if (text.empty()) return 0;
    const auto parts = split(text, ':');
    std::size_t units = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string_view part = parts[i];
      if (may_end_in_ipv4 && i + 1 == parts.size() && part.find('.') != std::string_view::npos) {
        if (!is_ipv4(part)) return std::nullopt;
        units += 2;
        continue;
      }
      const bool hexadecimal = std::all_of(part.begin(), part.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      });
      if (part.empty() || part.size() > 4 || !hexadecimal) return std::nullopt;
      ++units;
    }
    return units;
  }

  static bool is_ipv6(std::string_view text) {
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos) return count_groups(text, true) == 8;
    const auto before = count_groups(text.substr(0, gap), false);
    const auto after = count_groups(text.substr(gap + 2), true);
    return before && after && *before + *after <= 7;
  }

  std::string_view text_;
  bool allow_utf8_;
};

/// Mailbox of RFC 5321 §4.1.2, or bare postmaster (§4.5.1).
Result<Address> take_mailbox(Cursor& cursor) {
  const Taken local = cursor.take_local();
  if (!local) return local.error();
  Address address;
  address.local = *local;
  if (!cursor.take('@')) {
    if (!equals_ignoring_case(address.local, "postmaster")) return AddressError::syntax;
    return address;
  }
  const Taken domain = cursor.take_domain();
  if (!domain) return domain.error();
  address.domain = *domain;
  const std::size_t path_octets = address.local.size() + address.domain.size() + 3;
  if (path_octets > path_octets_max) return AddressError::path_too_long;
  if (!is_ascii(address.domain)) {
    const auto ascii = to_a_labels(address.domain);
    if (!ascii) {
      const bool length = ascii.error() == make_error_code(DomainError::too_long);
      return length ? AddressError::domain_too_long : AddressError::domain_invalid;
    }
  }
  return address;
}

/// "@one,@two:" in front of a mailbox (RFC 5321 App. C): checked, then forgotten.
Result<void> skip_source_route(Cursor& cursor) {
  if (!cursor.next_is('@')) return {};
  do {
    if (!cursor.take('@')) return AddressError::syntax;
    const Taken domain = cursor.take_domain();
    if (!domain) return domain.error();
  } while (cursor.take(','));
  if (!cursor.take(':')) return AddressError::syntax;
  return {};
}

}  // namespace

ErrorCode make_error_code(AddressError error) {
  static const AddressCategory category;
  return {static_cast<int>(error), category};
}

bool Address::needs_utf8() const { return !is_ascii(local) || !is_ascii(domain); }

std::string Address::to_string() const {
  if (domain.empty()) return local;
  std::string text;
  text.reserve(local.size() + 1 + domain.size());
  text += local;
  text += '@';
  text += domain;
  return text;
}

Result<Address> Address::parse(std::string_view text, bool allow_utf8) {
  Cursor cursor(text, allow_utf8);
  auto address = take_mailbox(cursor);
  if (address && !cursor.at_end()) return AddressError::syntax;
  return address;
}

Result<Path> parse_path(std::string_view text, bool allow_utf8) {
  // Strictly no space may stand before the bracket; senders that put one there are common.
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  Cursor cursor(text, allow_utf8);
  if (!cursor.take('<')) return AddressError::syntax;
  Path path;
  if (!cursor.next_is('>')) {
    const auto route = skip_source_route(cursor);
    if (!route) return route.error();
    auto address = take_mailbox(cursor);
    if (!address) return address.error();
    path.address = std::move(*address);
  }
  if (!cursor.take('>')) return AddressError::syntax;
  if (!cursor.at_end() && !cursor.next_is(' ')) return AddressError::syntax;
  path.rest = trim(cursor.left());
  return path;
}

std::string destination_of(const Address& address, std::string_view local_domain) {
  const std::string_view domain = address.domain.empty() ? local_domain : address.domain;
  // A domain without an ASCII form was refused when it came; should one stand in an old spool, its
  // lane is the name as it is, and no route will know it.
  const auto ascii = to_a_labels(domain);
  std::string destination = ascii ? *ascii : to_lower(domain);
  if (destination.size() > 1 && destination.back() == '.') destination.pop_back();
  return destination;
}

std::optional<Address> ascii_address(const Address& address) {
  if (!is_ascii(address.local)) return std::nullopt;
  if (is_ascii(address.domain)) return address;
  const auto domain = to_a_labels(address.domain);
  if (!domain) return std::nullopt;
  return Address{address.local, *domain};
}

}  // namespace mansio
