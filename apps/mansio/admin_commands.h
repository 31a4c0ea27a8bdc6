// The verbs that speak the admin API of a running daemon. Those that only read messages are here:
// status, summary, list, show, content, history, why; the others add themselves.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// Adds the verbs to `app`. The parsed verb's callback puts its work into `action`; main() runs it
/// after parsing and exits with what it returns (an Exit). `options` outlives both.
void add_admin_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
