// Lanes and what stops them: lanes, lane, suspend, resume; and shape, the queue by age.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// See add_admin_commands().
void add_lane_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
