// `mansio config`: check a file, explain options, print the defaults or what holds. Needs no
// daemon.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// Adds the verb; see add_admin_commands() for `action`. `app` is also what the manual's page of
/// commands is made from, so it must outlive the action.
void add_config_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
