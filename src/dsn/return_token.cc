#include "dsn/return_token.h"

#include <charconv>

#include "base/keyed_hash.h"
#include "base/text.h"

namespace mansio::dsn {
namespace {

constexpr std::string_view local_prefix = "b+";
constexpr std::string_view hash_alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t id_characters = 26;
constexpr std::size_t hash_characters = 20;  // of 5 bits
// What else the secret may be used for one day must not give tokens.
constexpr std::string_view purpose = "mansio return token 1\n";

std::string index_text(std::optional<std::uint32_t> recipient) {
  return recipient ? std::to_string(*recipient) : "a";
}

/// Without a sign or leading zeros: each mark has one text.
std::optional<std::uint32_t> parse_index(std::string_view text) {
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (std::to_string(index) != text) return std::nullopt;
  return index;
}

}  // namespace

ReturnTokens::ReturnTokens(std::string secret, std::string domain)
    : secret_(std::move(secret)), domain_(std::move(domain)) {}

std::string ReturnTokens::token(const ReturnMark& mark) const {
  const std::string said = to_lower(mark.id.to_string()) + '-' + index_text(mark.recipient);
  const KeyedHash hash = keyed_hash(secret_, std::string(purpose) + said);
  std::string out = said + '-';
  unsigned bits = 0;
  unsigned group = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < hash_characters; ++i) {
    if (bits < 5) {
      group = (group << 8 | hash.at(next++)) & 0xFFFF;
      bits += 8;
    }
    bits -= 5;
    out += hash_alphabet[group >> bits & 31];
  }
  return out;
}

Address ReturnTokens::address(const ReturnMark& mark) const {
  return {std::string(local_prefix) + token(mark), domain_};
}

std::optional<ReturnMark> ReturnTokens::verify(std::string_view token) const {
  if (token.size() < id_characters + 3 + hash_characters || token[id_characters] != '-') {
    return std::nullopt;
  }
  const auto id = QueueId::parse(token.substr(0, id_characters));
  if (!id) return std::nullopt;
  const std::string_view rest = token.substr(id_characters + 1);
  const std::string index = to_lower(rest.substr(0, rest.find('-')));
  ReturnMark mark;
  mark.id = *id;
  if (index != "a") {
    mark.recipient = parse_index(index);
    if (!mark.recipient) return std::nullopt;
  }
  if (!equal_in_constant_time(this->token(mark), to_lower(token))) return std::nullopt;
  return mark;
}

std::optional<ReturnMark> ReturnTokens::verify_local(std::string_view local) const {
  if (!equals_ignoring_case(local.substr(0, local_prefix.size()), local_prefix)) {
    return std::nullopt;
  }
  return verify(local.substr(local_prefix.size()));
}

}  // namespace mansio::dsn
