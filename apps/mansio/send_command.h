// `mansio send`: hands a message to a server over SMTP and prints the queue id from its reply.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "mansio/options.h"

namespace mansio::cli {

/// Adds the verb; see add_admin_commands() for `action`.
void add_send_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);

}  // namespace mansio::cli
