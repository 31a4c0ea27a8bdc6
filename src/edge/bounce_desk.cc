#include "edge/bounce_desk.h"

#include "base/text.h"

namespace mansio::edge {
namespace {

constexpr std::string_view plain_local = "bounces";

}  // namespace

BounceDesk::BounceDesk(const settings::Bounces& bounces)
    : tokens_(bounces.secret, bounces.domain), plain_address_(bounces.envelope_id) {}

bool BounceDesk::is_for_us(const Address& address) const {
  std::string_view domain = address.domain;
  if (domain.ends_with('.')) domain.remove_suffix(1);
  return equals_ignoring_case(domain, tokens_.domain());
}

std::optional<BounceAddress> BounceDesk::find(const Address& address) const {
  if (!is_for_us(address)) return std::nullopt;
  BounceAddress found;
  if (plain_address_ && equals_ignoring_case(address.local, plain_local)) return found;
  found.mark = tokens_.verify_local(address.local);
  if (!found.mark) return std::nullopt;
  return found;
}

std::optional<dsn::ReturnMark> BounceDesk::mark_of(const dsn::Report& report) const {
  if (auto mark = tokens_.verify(report.envelope_id)) return mark;
  const auto sender = Address::parse(report.original_sender, true);
  if (!sender || !is_for_us(*sender)) return std::nullopt;
  return tokens_.verify_local(sender->local);
}

}  // namespace mansio::edge
