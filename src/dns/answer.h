// From what a resolver library hands over to the answers of resolver.h. Every octet of it came from
// the network: lengths are checked, and nothing is believed. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/resolver.h"

namespace mansio::dns {

/// What came of one query, as octets.
struct RawAnswer {
  Status status = Status::temporary;
  bool secure = false;
  std::vector<std::string> rdata;  ///< of the type asked for, names uncompressed
  std::string canonical;           ///< the end of a CNAME chain, as text; empty: none
  std::string why;
};

/// What a response code means (RFC 1035 §4.1.1): only 0 and 3 say something about the name.
/// `have_data`: records of the type asked for are there.
Status status_of(int response_code, bool have_data);
/// "SERVFAIL", "response code 23".
std::string response_code_name(int response_code);

/// An uncompressed name of the wire (RFC 1035 §3.1) in lower case without a final dot; "" is the
/// root. Octets that no host name has come as "\DDD", so that they are seen and refused later.
/// nullopt: it does not fill the octets exactly, or is longer than 253 octets of text.
std::optional<std::string> name_of_wire(std::string_view octets);

/// Records that cannot be read are left out; the status stays `found` even if none is left: there
/// are MX records, so the domain's own address is no mail host.
MxAnswer mx_answer(RawAnswer raw);
AddressAnswer address_answer(RawAnswer raw, Family family);

/// The hosts file of a machine (hosts(5)): names in lower case with their addresses, in order.
/// What is no address is left out. At most `hosts_names_max` names.
using Hosts = std::map<std::string, std::vector<std::string>>;
constexpr std::size_t hosts_names_max = 100'000;
Hosts parse_hosts(std::string_view text);

}  // namespace mansio::dns
