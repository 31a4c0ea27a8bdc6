#include "settings/pattern.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "message/address.h"
#include "message/domain.h"
#include "settings/settings.h"

namespace mansio::settings {
namespace {

bool valid_label(std::string_view label) {
  if (label.empty() || label.size() > 63) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  for (const char c : label) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    // The underscore is no host name character, but domains in use have it.
    if (!letter && !digit && c != '-' && c != '_') return false;
  }
  return true;
}

constexpr std::string_view sender_binding = "sender:";
constexpr std::string_view notices_binding = "notices";
constexpr std::string_view null_path = "<>";

/// A reverse-path as sender patterns are compared with it.
std::string canonical_sender(const Address& reverse_path) {
  if (reverse_path.is_null()) return std::string(null_path);
  return to_lower(reverse_path.local) + "@" + destination_of(reverse_path, "");
}

/// The tables of one destination pattern.
struct RouteGroup {
  const Route* general = nullptr;  ///< null: it has tables for senders only
  std::vector<const Route*> of_senders;
};

/// The groups whose pattern fits the destination, the most specific first.
std::vector<RouteGroup> groups_for(const Settings& settings, std::string_view destination) {
  const std::string wanted = to_lower(destination);
  std::map<std::size_t, RouteGroup, std::greater<>> by_fit;
  for (const Route& route : settings.routes) {
    const std::size_t fit = pattern_fit(route.pattern, wanted);
    if (fit == 0) continue;
    RouteGroup& group = by_fit[fit];
    if (!route.sender.empty()) {
      group.of_senders.push_back(&route);
    } else if (group.general == nullptr) {
      group.general = &route;
    }
  }
  std::vector<RouteGroup> groups;
  for (auto& [fit, group] : by_fit) groups.push_back(std::move(group));
  return groups;
}

}  // namespace

bool valid_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  for (const std::string_view label : split(name, '.')) {
    if (!valid_label(label)) return false;
  }
  return true;
}

std::string canonical_pattern(std::string_view pattern) {
  std::string_view stars = pattern.substr(0, pattern.starts_with("*.") ? 2 : 0);
  if (stars.empty() && pattern.starts_with('*')) stars = pattern.substr(0, 1);
  const auto name = to_a_labels(pattern.substr(stars.size()));
  return name ? std::string(stars) + *name : to_lower(pattern);
}

bool valid_pattern(std::string_view pattern) {
  if (pattern == "*") return true;
  if (pattern.starts_with('[')) {
    return pattern.size() > 2 && pattern.ends_with(']') &&
           pattern.find_first_of("[] \t*", 1) == pattern.size() - 1;
  }
  if (pattern.starts_with("*.")) return valid_host_name(pattern.substr(2));
  if (pattern.starts_with('*')) return valid_host_name(pattern.substr(1));
  return valid_host_name(pattern);
}

std::size_t pattern_fit(std::string_view pattern, std::string_view destination) {
  if (!pattern.starts_with('*')) {
    return pattern == destination ? std::numeric_limits<std::size_t>::max() : 0;
  }
  const std::string_view suffix = pattern.substr(1);
  // "*.example.com" is what lies below example.com, not the domain itself.
  return destination.ends_with(suffix) ? suffix.size() + 1 : 0;
}

bool valid_sender_pattern(std::string_view pattern) {
  if (pattern == null_path) return true;
  const std::size_t at = pattern.rfind('@');
  if (at == std::string_view::npos || at == 0) return false;
  const std::string_view domain = pattern.substr(at + 1);
  if (pattern.substr(0, at) != "*") return Address::parse(pattern, true).has_value();
  return domain != "*" && valid_pattern(domain);
}

std::string canonical_sender_pattern(std::string_view pattern) {
  const std::size_t at = pattern.rfind('@');
  if (at == std::string_view::npos) return to_lower(pattern);
  return to_lower(pattern.substr(0, at + 1)) + canonical_pattern(pattern.substr(at + 1));
}

std::size_t sender_fit(std::string_view pattern, std::string_view sender) {
  if (pattern == sender) return std::numeric_limits<std::size_t>::max();
  if (!pattern.starts_with("*@")) return 0;
  const std::size_t at = sender.rfind('@');
  if (at == std::string_view::npos) return 0;
  const std::size_t fit = pattern_fit(pattern.substr(2), sender.substr(at + 1));
  // An exact domain stays below an exact address.
  return std::min(fit, std::numeric_limits<std::size_t>::max() - 1);
}

const Route* route_for(const Settings& settings, std::string_view destination) {
  for (const RouteGroup& group : groups_for(settings, destination)) {
    if (group.general != nullptr) return group.general;
  }
  return nullptr;
}

std::string binding_for(const Settings& settings, std::string_view destination,
                        const Address& reverse_path) {
  const bool any_of_senders = std::any_of(settings.routes.begin(), settings.routes.end(),
                                          [](const Route& route) { return !route.sender.empty(); });
  if (!any_of_senders) return LaneKey{}.binding;
  const std::string sender = canonical_sender(reverse_path);
  for (const RouteGroup& group : groups_for(settings, destination)) {
    const Route* best = nullptr;
    std::size_t best_fit = 0;
    for (const Route* route : group.of_senders) {
      const std::size_t fit = sender_fit(route->sender, sender);
      if (fit > best_fit) {
        best = route;
        best_fit = fit;
      }
    }
    if (best != nullptr) return std::string(sender_binding) + best->sender;
    if (group.general != nullptr) break;
  }
  return LaneKey{}.binding;
}

const Route* route_for(const Settings& settings, const LaneKey& lane) {
  std::string_view sender;
  if (std::string_view(lane.binding).starts_with(sender_binding)) {
    sender = std::string_view(lane.binding).substr(sender_binding.size());
  } else if (lane.binding == notices_binding) {
    sender = null_path;
  }
  for (const RouteGroup& group : groups_for(settings, lane.destination)) {
    for (const Route* route : group.of_senders) {
      if (route->sender == sender) return route;
    }
    if (group.general != nullptr) return group.general;
  }
  return nullptr;
}

std::string channel_type(const Settings& settings, std::string_view name) {
  for (const char* type : {"smtp", "lmtp", "hold", "discard"}) {
    if (name == type) return type;
  }
  for (const Channel& channel : settings.channels) {
    if (channel.name == name) return channel.type;
  }
  return {};
}

Destination destination_settings(const Settings& settings, std::string_view destination) {
  // Each value by itself comes from the most specific pattern that gives it.
  Destination effective;
  effective.pattern = std::string(destination);
  const std::string wanted = to_lower(destination);
  const auto value_of = [&](std::optional<std::uint32_t> Destination::*member,
                            std::uint32_t otherwise) {
    std::uint32_t value = otherwise;
    std::size_t best = 0;
    for (const Destination& item : settings.destinations) {
      const std::size_t fit = pattern_fit(item.pattern, wanted);
      if (fit > best && item.*member) {
        best = fit;
        value = *(item.*member);
      }
    }
    return value;
  };
  effective.connections = value_of(&Destination::connections, destination_connections);
  effective.messages_per_connection =
      value_of(&Destination::messages_per_connection, destination_messages);
  effective.recipients_per_transaction =
      value_of(&Destination::recipients_per_transaction, destination_recipients);
  return effective;
}

}  // namespace mansio::settings
