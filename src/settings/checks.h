// Checks of settings that depend on each other or on the world: files that must exist, secrets.
#pragma once

#include <functional>
#include <string>

#include "settings/settings.h"

namespace mansio::settings {

/// Told of each problem: the full key and what was found and expected.
using Report = std::function<void(const std::string& key, const std::string& message)>;

/// Completes what depends on other values (ports of next hops, relative paths of the spool, the
/// secrets) and reports what does not go together. `folder`: of the configuration file.
void complete_and_check(Settings& settings, const std::string& folder, const Report& report);

/// `path` as seen from the folder of the configuration file.
std::string resolve_path(const std::string& folder, const std::string& path);

/// "route.\"*\".next_hop"
std::string route_key(const Route& route, const std::string& key);

}  // namespace mansio::settings
