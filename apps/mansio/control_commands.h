// The daemon as a whole: drain, undrain, reload.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// See add_admin_commands().
void add_control_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
