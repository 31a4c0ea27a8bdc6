// `mansio spool`: audits a spool that no daemon has open.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// Adds the verb; see add_admin_commands() for `action`.
void add_spool_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
