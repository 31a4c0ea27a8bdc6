// Looking at a destination: probe (without mail) and trace (with it).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// See add_admin_commands().
void add_look_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
