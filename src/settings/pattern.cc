#include "settings/pattern.h"

#include <limits>
#include <string>

#include "base/text.h"
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

/// The best fit of a list whose items have a `pattern`; null: none fits.
template <class Item>
const Item* best_fit(const std::vector<Item>& items, std::string_view destination) {
  const std::string wanted = to_lower(destination);
  const Item* best = nullptr;
  std::size_t best_fit = 0;
  for (const Item& item : items) {
    const std::size_t fit = pattern_fit(item.pattern, wanted);
    if (fit > best_fit) {
      best = &item;
      best_fit = fit;
    }
  }
  return best;
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

const Route* route_for(const Settings& settings, std::string_view destination) {
  return best_fit(settings.routes, destination);
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
