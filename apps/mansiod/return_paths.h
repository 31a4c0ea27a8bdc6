// What [bounces] means for mail that goes out.
#pragma once

#include "delivery/return_paths.h"
#include "settings/settings.h"

namespace mansio::daemon {

/// Reverse-paths and ENVIDs with tokens of ours, as far as they are switched on.
delivery::ReturnPaths return_paths(const settings::Bounces& bounces);

}  // namespace mansio::daemon
