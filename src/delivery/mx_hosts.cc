#include "delivery/mx_hosts.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <utility>

#include "base/text.h"
#include "delivery/failure_policy.h"
#include "settings/pattern.h"

namespace mansio::delivery {
namespace {

namespace ip = boost::asio::ip;

std::optional<ip::address> parse_ip(std::string_view text) {
  ErrorCode error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  return address;
}

/// An IPv4 address inside IPv6 (::ffff:192.0.2.1) is the IPv4 address.
std::optional<ip::address> plain_ip(std::string_view text) {
  const auto address = parse_ip(text);
  if (!address || !address->is_v6() || !address->to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address->to_v6());
}

std::string quoted(const std::string& name) { return "\"" + escape(name) + "\""; }

std::string with_preference(const MxHost& host) {
  if (!host.preference) return host.name;
  return host.name + " (preference " + std::to_string(*host.preference) + ")";
}

Disposition left_open(const std::string& what, const std::string& why) {
  return route_failure(Cause::dns, 451, {4, 4, 3},
                       "the DNS lookup of " + what + " failed for now: " + escape(why));
}

Disposition loop_found(const std::string& domain) {
  return route_failure(Cause::dns, 554, {5, 4, 6},
                       "mail for " + domain + " loops back to this host: it is the best MX itself");
}

/// Names that no mail host has. A name with an octet escaped by dns/ has a backslash.
std::string why_no_host(const std::string& name) {
  if (name.empty()) return "a null MX beside other records";
  if (parse_ip(name)) return "an IP address where a host name belongs";
  if (!settings::valid_host_name(name)) return "not a host name";
  return {};
}

/// What is left of the hosts before the first of those preferences that lead back to us.
template <class Item, class Preference>
void drop_from(std::vector<Item>& items, std::uint32_t least, Preference preference,
               std::vector<std::string>& left_out) {
  std::vector<Item> kept;
  for (Item& item : items) {
    const MxHost& host = preference(item);
    if (host.preference.value_or(0) < least) {
      kept.push_back(std::move(item));
    } else {
      left_out.push_back(with_preference(host) + ": not better than this host itself");
    }
  }
  items = std::move(kept);
}

struct V4Block {
  const char* network;
  unsigned short length;
  const char* what;
};

/// RFC 6890 and what came after it: blocks whose addresses are not of the public internet. The
/// blocks for documentation are left alone, since they lead nowhere.
constexpr V4Block v4_blocks[] = {
    {"0.0.0.0", 8, "unspecified"},
    {"10.0.0.0", 8, "private"},
    {"100.64.0.0", 10, "shared by carriers"},
    {"127.0.0.0", 8, "loopback"},
    {"169.254.0.0", 16, "link-local"},
    {"172.16.0.0", 12, "private"},
    {"192.168.0.0", 16, "private"},
    {"224.0.0.0", 4, "multicast"},
    {"240.0.0.0", 4, "reserved"},
};

std::string why_not_public(const ip::address_v4& address) {
  for (const V4Block& block : v4_blocks) {
    const ip::network_v4 network(ip::make_address_v4(block.network), block.length);
    if (ip::network_v4(address, block.length).canonical() == network) return block.what;
  }
  return {};
}

/// The IPv4 address inside an IPv6 one that leads to it: mapped, compatible, 6to4, NAT64.
std::optional<ip::address_v4> embedded(const ip::address_v6& address) {
  const auto octets = address.to_bytes();
  const auto v4_at = [&octets](std::size_t at) {
    return ip::address_v4({octets[at], octets[at + 1], octets[at + 2], octets[at + 3]});
  };
  const auto zero = [&octets](std::size_t from, std::size_t to) {
    return std::all_of(octets.begin() + static_cast<std::ptrdiff_t>(from),
                       octets.begin() + static_cast<std::ptrdiff_t>(to),
                       [](unsigned char octet) { return octet == 0; });
  };
  if (zero(0, 10) && octets[10] == 0xff && octets[11] == 0xff) return v4_at(12);
  if (zero(0, 12) && !zero(12, 15)) return v4_at(12);
  if (octets[0] == 0x20 && octets[1] == 0x02) return v4_at(2);
  if (octets[0] == 0x00 && octets[1] == 0x64 && octets[2] == 0xff && octets[3] == 0x9b &&
      zero(4, 12)) {
    return v4_at(12);
  }
  return std::nullopt;
}

std::string why_not_public(const ip::address_v6& address) {
  if (address.is_unspecified()) return "unspecified";
  if (address.is_loopback()) return "loopback";
  if (address.is_multicast()) return "multicast";
  if (address.is_link_local()) return "link-local";
  if (address.is_site_local()) return "private";
  if ((address.to_bytes()[0] & 0xfe) == 0xfc) return "private";
  const auto inside = embedded(address);
  return inside ? why_not_public(*inside) : std::string();
}

/// Everything said about one host, gathered while its addresses are looked at.
struct Tally {
  bool open = false;  ///< a lookup may say more later
  std::string open_text;
  bool refused_by_us = false;  ///< an address is there, and our settings forbid it
  std::string refused_text;
};

void note_lookup(Tally& tally, std::vector<std::string>& left_out, const MxHost& host,
                 const std::optional<dns::AddressAnswer>& answer, const char* type) {
  if (!answer || answer->status == dns::Status::found) return;
  if (answer->status != dns::Status::temporary) return;
  tally.open = true;
  tally.open_text = host.name + " (" + type + ")";
  if (!answer->why.empty()) tally.open_text += ": " + escape(answer->why);
  left_out.push_back(host.name + ": the lookup of its " + type +
                     " records failed for now: " + escape(answer->why));
}

bool not_wanted(const HostAnswers& answers, Families families) {
  const auto found = [](const std::optional<dns::AddressAnswer>& answer) {
    return answer && answer->status == dns::Status::found;
  };
  return (families == Families::ipv4_only && found(answers.v6)) ||
         (families == Families::ipv6_only && found(answers.v4));
}

Disposition nothing_usable(const std::string& domain, const std::string& how, const Tally& tally) {
  if (tally.open) {
    return route_failure(Cause::dns, 451, {4, 4, 3},
                         "no mail host of " + domain +
                             " can be reached for now: the DNS lookup failed: " + tally.open_text);
  }
  if (tally.refused_by_us) {
    return route_failure(Cause::policy, 451, {4, 4, 4},
                         "no mail host of " + domain + " can be used: " + tally.refused_text);
  }
  if (how == "implicit mx") {
    return route_failure(Cause::dns, 550, {5, 1, 2},
                         "the domain " + domain + " has neither MX nor address records");
  }
  return route_failure(Cause::dns, 550, {5, 4, 4},
                       "none of the MX hosts of " + domain + " has an address");
}

/// Judges one address; empty: it is used.
std::string judge(const std::string& address, const AddressRules& rules) {
  const std::string why = mansio::delivery::why_not_public(std::string_view(address));
  if (why.empty() || rules.allow_private) return {};
  return why + " address, and [dns] allow_private is not set";
}

}  // namespace

Families families_of(std::string_view setting) {
  if (setting == "ipv4") return Families::ipv4_first;
  if (setting == "ipv4-only") return Families::ipv4_only;
  if (setting == "ipv6-only") return Families::ipv6_only;
  return Families::ipv6_first;
}

bool Ourselves::is_us(const Endpoint& endpoint) const {
  const auto address = plain_ip(endpoint.address);
  if (!address) return false;
  return std::any_of(listeners.begin(), listeners.end(), [&](const Endpoint& listener) {
    return listener.port == endpoint.port && plain_ip(listener.address) == address;
  });
}

Disposition route_failure(Cause cause, std::uint16_t code, EnhancedCode enhanced,
                          std::string text) {
  Event event;
  event.stage = Stage::route;
  event.cause = cause;
  event.reply = {code, enhanced, std::move(text)};
  return to_disposition(classify(event), event);
}

MxChoice choose_mx(const std::string& domain, const dns::MxAnswer& answer,
                   const Ourselves& ourselves, Random& random) {
  MxChoice choice;
  switch (answer.status) {
    case dns::Status::temporary:
      choice.failure = left_open("the MX records of " + domain, answer.why);
      return choice;
    case dns::Status::no_domain:
      choice.failure = route_failure(Cause::dns, 550, {5, 1, 2},
                                     "the domain " + domain + " does not exist (NXDOMAIN)");
      return choice;
    case dns::Status::no_data:
      choice.how = "implicit mx";
      if (equals_ignoring_case(domain, ourselves.hostname)) {
        choice.failure = loop_found(domain);
      } else {
        choice.hosts.push_back({domain, std::nullopt});
      }
      return choice;
    case dns::Status::found:
      break;
  }
  choice.how = "mx";
  const auto null = [](const dns::MxRecord& record) { return record.host.empty(); };
  // RFC 7505 §3 wants it alone with preference 0; alone, any preference can mean nothing else.
  if (!answer.records.empty() && std::all_of(answer.records.begin(), answer.records.end(), null)) {
    choice.failure = route_failure(Cause::dns, 556, {5, 1, 10},
                                   "the domain " + domain + " takes no mail (null MX)");
    return choice;
  }
  bool loop = false;
  std::uint32_t own_preference = 0;
  std::set<std::string> seen;
  std::vector<dns::MxRecord> records = answer.records;
  for (std::size_t i = records.size(); i > 1; --i)
    std::swap(records[i - 1], records[random.below(i)]);
  std::stable_sort(records.begin(), records.end(),
                   [](const auto& a, const auto& b) { return a.preference < b.preference; });
  for (const dns::MxRecord& record : records) {
    const MxHost host{to_lower(record.host), record.preference};
    const std::string why = why_no_host(host.name);
    if (!why.empty()) {
      choice.left_out.push_back(quoted(host.name) + ": " + why);
    } else if (equals_ignoring_case(host.name, ourselves.hostname)) {
      if (!loop) own_preference = record.preference;
      loop = true;
      choice.left_out.push_back(with_preference(host) + ": this host itself");
    } else if (seen.insert(host.name).second) {
      choice.hosts.push_back(host);
    }
  }
  if (loop) {
    drop_from(
        choice.hosts, own_preference, [](const MxHost& host) -> const MxHost& { return host; },
        choice.left_out);
  }
  for (std::size_t i = mx_hosts_max; i < choice.hosts.size(); ++i) {
    choice.left_out.push_back(choice.hosts[i].name + ": beyond the " +
                              std::to_string(mx_hosts_max) + " best MX hosts");
  }
  choice.more_hosts = choice.hosts.size() > mx_hosts_max;
  if (choice.more_hosts) choice.hosts.resize(mx_hosts_max);
  if (choice.hosts.empty()) {
    choice.failure =
        loop ? loop_found(domain)
             : route_failure(Cause::dns, 550, {5, 4, 4},
                             "none of the MX records of " + domain + " names a mail host");
  }
  return choice;
}

std::vector<std::string> ordered_addresses(const HostAnswers& answers, Families families) {
  static const std::vector<std::string> none;
  const auto of = [](const std::optional<dns::AddressAnswer>& answer) -> const auto& {
    return answer && answer->status == dns::Status::found ? answer->addresses : none;
  };
  if (families == Families::ipv4_only) return of(answers.v4);
  if (families == Families::ipv6_only) return of(answers.v6);
  const bool v6_first = families == Families::ipv6_first;
  const auto& first = v6_first ? of(answers.v6) : of(answers.v4);
  const auto& second = v6_first ? of(answers.v4) : of(answers.v6);
  // The families take turns (RFC 8305 §4): a way that is closed for one of them must not use up
  // what an attempt may try.
  std::vector<std::string> ordered;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) ordered.push_back(first[i]);
    if (i < second.size()) ordered.push_back(second[i]);
  }
  return ordered;
}

bool needs_other_family(const HostAnswers& answers, Families families) {
  const auto nothing = [](const std::optional<dns::AddressAnswer>& answer) {
    return answer && answer->status == dns::Status::no_data;
  };
  return (families == Families::ipv4_only && !answers.v6 && nothing(answers.v4)) ||
         (families == Families::ipv6_only && !answers.v4 && nothing(answers.v6));
}

AddressChoice choose_addresses(const std::string& domain, const std::string& how,
                               const std::vector<HostAnswers>& answers, const AddressRules& rules,
                               const Ourselves& ourselves) {
  AddressChoice choice;
  Tally tally;
  std::vector<HostAnswers> hosts = answers;
  bool loop = false;
  std::uint32_t own_preference = 0;
  for (const HostAnswers& host : hosts) {
    for (const std::string& address : ordered_addresses(host, rules.families)) {
      if (!ourselves.is_us({address, rules.port})) continue;
      const std::uint32_t preference = host.host.preference.value_or(0);
      own_preference = loop ? std::min(own_preference, preference) : preference;
      loop = true;
    }
  }
  if (loop) {
    drop_from(
        hosts, own_preference, [](const HostAnswers& host) -> const MxHost& { return host.host; },
        choice.left_out);
    if (hosts.empty()) {
      choice.failure = loop_found(domain);
      return choice;
    }
  }
  std::set<std::string> seen;
  for (const HostAnswers& host : hosts) {
    note_lookup(tally, choice.left_out, host.host, host.v6, "AAAA");
    note_lookup(tally, choice.left_out, host.host, host.v4, "A");
    const std::vector<std::string> addresses = ordered_addresses(host, rules.families);
    if (addresses.empty() && not_wanted(host, rules.families)) {
      tally.refused_by_us = true;
      tally.refused_text =
          host.host.name + " has no address of the family that [dns] prefer allows";
      choice.left_out.push_back(tally.refused_text);
    } else if (addresses.empty() && (!host.v4 || host.v4->status != dns::Status::temporary) &&
               (!host.v6 || host.v6->status != dns::Status::temporary)) {
      choice.left_out.push_back(host.host.name + ": no address");
    }
    for (const std::string& address : addresses) {
      const std::string why = judge(address, rules);
      if (!why.empty()) {
        tally.refused_by_us = true;
        tally.refused_text = host.host.name + " has the " + why + ": " + address;
        choice.left_out.push_back(host.host.name + " " + address + ": " + why);
      } else if (choice.hosts.size() < route_addresses_max && seen.insert(address).second) {
        choice.hosts.push_back({host.host.name, {address, rules.port}, host.host.preference, true});
      }
    }
  }
  if (choice.hosts.empty() && rules.more_hosts && !tally.refused_by_us) {
    tally.refused_by_us = true;
    tally.refused_text =
        "the " + std::to_string(mx_hosts_max) + " best have no address, and no more are looked up";
  }
  if (choice.hosts.empty()) choice.failure = nothing_usable(domain, how, tally);
  return choice;
}

std::optional<std::string> address_of_literal(std::string_view destination) {
  if (destination.size() < 3 || !destination.starts_with('[') || !destination.ends_with(']')) {
    return std::nullopt;
  }
  std::string_view inside = destination.substr(1, destination.size() - 2);
  const bool tagged = equals_ignoring_case(inside.substr(0, 5), "ipv6:");
  if (tagged) inside.remove_prefix(5);
  const auto address = parse_ip(inside);
  if (!address || address->is_v6() != tagged || inside.find('%') != std::string_view::npos) {
    return std::nullopt;
  }
  return address->to_string();
}

AddressChoice choose_literal(const std::string& destination, const AddressRules& rules,
                             const Ourselves& ourselves) {
  AddressChoice choice;
  const auto address = address_of_literal(destination);
  if (!address) {
    choice.failure = route_failure(Cause::dns, 550, {5, 1, 2},
                                   destination + " is no address literal that mail can be sent to");
    return choice;
  }
  const Endpoint endpoint{*address, rules.port};
  const std::string why = judge(*address, rules);
  if (ourselves.is_us(endpoint)) {
    choice.failure = loop_found(destination);
  } else if (!why.empty()) {
    choice.left_out.push_back(*address + ": " + why);
    choice.failure = route_failure(Cause::policy, 451, {4, 4, 4},
                                   "mail for " + destination + " cannot be sent: " + why);
  } else {
    choice.hosts.push_back({*address, endpoint, std::nullopt, false});
  }
  return choice;
}

std::string why_not_public(std::string_view address) {
  const auto parsed = parse_ip(address);
  if (!parsed) return "unreadable";
  return parsed->is_v4() ? why_not_public(parsed->to_v4()) : why_not_public(parsed->to_v6());
}

}  // namespace mansio::delivery
