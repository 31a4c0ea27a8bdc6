// The rules from DNS answers to the addresses that are tried, in order. Pure: answers and a source
// of chance in, hosts or the reason why there are none out. routes.h asks the questions.
//
// RFC 5321 §5.1, RFC 7505:
//   1. A null MX (one record, preference 0, host ".") says that the domain takes no mail:
//   556 5.1.10.
//   2. MX records: in the order of their preference, equal ones shuffled. A name that is no host
//      name, or an IP address, is left out.
//   3. Our own name or one of our own addresses among them: that preference and all worse ones are
//      dropped, so that mail never comes back to us. None left: 5.4.6.
//   4. No MX record at all: the domain's own addresses (implicit MX). With MX records, whatever
//      they are worth, never.
//   5. The domain does not exist, or has neither MX nor address: 5.1.2. MX records but no host
//      among them that has an address: 5.4.4.
//   6. Addresses that are private, loopback, link-local, multicast, unspecified or otherwise not of
//      the internet are left out for hosts that the DNS named, unless allowed: a name in a foreign
//      zone must not make us talk to our own network.
//   7. Nothing usable, and a lookup was left open, or we were it who left an address or hosts
//   beyond a limit out: deferred.
//      The first counts no try.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "delivery/route.h"
#include "dns/resolver.h"

namespace mansio::delivery {

/// More hosts are not looked up: the best preferences come first.
constexpr std::size_t mx_hosts_max = 20;
/// More addresses are not kept for a route.
constexpr std::size_t route_addresses_max = 100;

enum class Families : std::uint8_t { ipv6_first, ipv4_first, ipv4_only, ipv6_only };
Families families_of(std::string_view setting);

/// Who we are, to see when a route leads back to us.
struct Ourselves {
  std::string hostname;
  std::vector<Endpoint> listeners;  ///< with the addresses of this machine for a wildcard one

  bool is_us(const Endpoint& endpoint) const;
};

struct MxHost {
  std::string name;
  std::optional<std::uint16_t> preference;
};

/// The names to look up, or what is known already.
struct MxChoice {
  std::vector<MxHost> hosts;  ///< in order
  std::string how;            ///< "mx" or "implicit mx"
  std::optional<Disposition> failure;
  std::vector<std::string> left_out;
  bool more_hosts = false;  ///< there are more than mx_hosts_max
};

MxChoice choose_mx(const std::string& domain, const dns::MxAnswer& answer,
                   const Ourselves& ourselves, Random& random);

/// What the lookups of one host gave; unset: not asked.
struct HostAnswers {
  MxHost host;
  std::optional<dns::AddressAnswer> v4, v6;
};

struct AddressRules {
  Families families = Families::ipv6_first;
  bool allow_private = false;
  std::uint16_t port = 25;
  bool more_hosts = false;  ///< that of the MxChoice
};

struct AddressChoice {
  std::vector<RouteHost>
      hosts;  ///< in order; a host's families take turns, the preferred one first
  std::optional<Disposition> failure;
  std::vector<std::string> left_out;
};

/// For hosts that the DNS named. `how` is that of the MxChoice.
AddressChoice choose_addresses(const std::string& domain, const std::string& how,
                               const std::vector<HostAnswers>& answers, const AddressRules& rules,
                               const Ourselves& ourselves);

/// The addresses of one host in the order of a delivery, without judging them.
std::vector<std::string> ordered_addresses(const HostAnswers& answers, Families families);
/// True where the other family has to be asked before the host counts as one without address.
bool needs_other_family(const HostAnswers& answers, Families families);

/// "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 §4.1.3) as an address; nullopt: no such literal.
std::optional<std::string> address_of_literal(std::string_view destination);
AddressChoice choose_literal(const std::string& destination, const AddressRules& rules,
                             const Ourselves& ourselves);

/// Why an address is none of the public internet: "loopback", "private"...; empty: it is.
std::string why_not_public(std::string_view address);

/// Ends and deferrals of a route, by failure_policy.h.
Disposition route_failure(Cause cause, std::uint16_t code, EnhancedCode enhanced, std::string text);

}  // namespace mansio::delivery
