// The declarations for people: `mansio config describe`, `defaults`, `effective`, and the manual's
// page. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "settings/declaration.h"
#include "settings/load.h"

namespace mansio::settings {

/// An option with the table it stands in.
struct Described {
  const Section* section = nullptr;
  const Option* option = nullptr;  ///< null: the table itself is meant
};

/// Finds "limits.message", "listener[].address", "listener.address", "route.\"*\".next_hop",
/// "route.next_hop", or a table such as "limits".
std::optional<Described> find_described(std::string_view key);
/// For keys and tables of later versions, by name.
bool is_later_key(std::string_view key);
/// The nearest full key; empty: none is near.
std::string nearest_key(std::string_view key);

/// "limits.message", "listener[].address", "route.\"pattern\".next_hop".
std::string full_key(const Section& section, const Option& option);
/// The default as TOML writes it; "none" where there is none, "required" where one must be given.
std::string default_words(const Option& option);

/// Some lines about an option, or about a table and all its options.
std::string describe(const Described& described);

/// A complete file with every option, its sentence and its default; what has none stands in a
/// comment. It loads.
std::string defaults_file();

/// One value that holds.
struct EffectiveValue {
  std::string key;    ///< full, such as listener[0].address
  std::string value;  ///< as TOML writes it; secrets show only where they come from
  unsigned line = 0;  ///< of the file; 0: the default
};

std::vector<EffectiveValue> effective_values(const Loaded& loaded);
/// The same as a TOML file with the origin of each value in a comment.
std::string effective_file(const Loaded& loaded, const std::string& path);

/// docs/manual/settings.md
std::string manual_page();

}  // namespace mansio::settings
