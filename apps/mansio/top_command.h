// top: a live view of the queue.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// See add_admin_commands().
void add_top_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
