#include "dns/answer.h"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "base/text.h"

namespace mansio::dns {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t name_text_max = 253;
constexpr std::size_t label_max = 63;

bool is_host_octet(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

void append_label(std::string& name, std::string_view label) {
  for (const char c : to_lower(label)) {
    if (is_host_octet(c)) {
      name += c;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    name += '\\';
    for (const int unit : {100, 10, 1}) name += static_cast<char>('0' + octet / unit % 10);
  }
}

std::optional<std::string> address_of(std::string_view rdata, Family family) {
  if (family == Family::v4) {
    ip::address_v4::bytes_type octets;
    if (rdata.size() != octets.size()) return std::nullopt;
    std::transform(rdata.begin(), rdata.end(), octets.begin(),
                   [](char c) { return static_cast<unsigned char>(c); });
    return ip::make_address_v4(octets).to_string();
  }
  ip::address_v6::bytes_type octets;
  if (rdata.size() != octets.size()) return std::nullopt;
  std::transform(rdata.begin(), rdata.end(), octets.begin(),
                 [](char c) { return static_cast<unsigned char>(c); });
  return ip::make_address_v6(octets).to_string();
}

}  // namespace

Status status_of(int response_code, bool have_data) {
  if (response_code == 3) return Status::no_domain;
  if (response_code != 0) return Status::temporary;
  return have_data ? Status::found : Status::no_data;
}

std::string response_code_name(int response_code) {
  static constexpr std::array names = {"NOERROR",  "FORMERR", "SERVFAIL",
                                       "NXDOMAIN", "NOTIMP",  "REFUSED"};
  if (response_code >= 0 && static_cast<std::size_t>(response_code) < names.size()) {
    return names.at(static_cast<std::size_t>(response_code));
  }
  return "response code " + std::to_string(response_code);
}

std::optional<std::string> name_of_wire(std::string_view octets) {
  std::string name;
  while (!octets.empty()) {
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(octets.front()));
    octets.remove_prefix(1);
    if (length == 0) {
      if (!octets.empty()) return std::nullopt;
      return name;
    }
    if (length > label_max || length > octets.size()) return std::nullopt;
    if (!name.empty()) name += '.';
    append_label(name, octets.substr(0, length));
    if (name.size() > name_text_max) return std::nullopt;
    octets.remove_prefix(length);
  }
  return std::nullopt;
}

MxAnswer mx_answer(RawAnswer raw) {
  MxAnswer answer;
  answer.status = raw.status;
  answer.secure = raw.secure;
  answer.why = std::move(raw.why);
  for (const std::string& rdata : raw.rdata) {
    if (rdata.size() < 3) continue;
    auto host = name_of_wire(std::string_view(rdata).substr(2));
    if (!host) continue;
    MxRecord record;
    record.preference = static_cast<std::uint16_t>(static_cast<unsigned char>(rdata[0]) << 8 |
                                                   static_cast<unsigned char>(rdata[1]));
    record.host = std::move(*host);
    answer.records.push_back(std::move(record));
  }
  // The size of a DNS message bounds what came; what is kept of it is the best.
  if (answer.records.size() > mx_records_max) {
    std::stable_sort(
        answer.records.begin(), answer.records.end(),
        [](const MxRecord& a, const MxRecord& b) { return a.preference < b.preference; });
    answer.records.resize(mx_records_max);
  }
  return answer;
}

AddressAnswer address_answer(RawAnswer raw, Family family) {
  AddressAnswer answer;
  answer.status = raw.status;
  answer.secure = raw.secure;
  answer.canonical = std::move(raw.canonical);
  answer.why = std::move(raw.why);
  for (const std::string& rdata : raw.rdata) {
    if (answer.addresses.size() == addresses_max) break;
    if (auto address = address_of(rdata, family)) answer.addresses.push_back(std::move(*address));
  }
  if (answer.status == Status::found && answer.addresses.empty()) {
    answer.status = Status::temporary;
    answer.why = "the answer holds no address that can be read";
  }
  return answer;
}

Hosts parse_hosts(std::string_view text) {
  Hosts hosts;
  for (std::string_view line : split(text, '\n')) {
    line = line.substr(0, line.find('#'));
    std::string address;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
      const std::size_t end = std::min(line.find_first_of(" \t\r", at), line.size());
      const std::string_view word = line.substr(at, end - at);
      at = end;
      if (address.empty()) {
        boost::system::error_code error;
        const ip::address parsed = ip::make_address(std::string(word), error);
        if (error) break;
        address = parsed.to_string();
        continue;
      }
      std::string name = to_lower(word);
      if (name.ends_with('.')) name.pop_back();
      if (hosts.size() >= hosts_names_max && !hosts.contains(name)) continue;
      std::vector<std::string>& addresses = hosts[name];
      const bool known = std::find(addresses.begin(), addresses.end(), address) != addresses.end();
      if (!known && addresses.size() < addresses_max) addresses.push_back(address);
    }
  }
  return hosts;
}

}  // namespace mansio::dns
