// `mansio send` and `mansio sendmail`: hands a message to a server over SMTP and prints the queue
// id from its reply.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "mansio/options.h"

namespace mansio::cli {

/// Adds the verb; see add_admin_commands() for `action`.
void add_send_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);
/// Lists the verb `sendmail`, whose words are not those of the other verbs.
void add_sendmail_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action);
/// True: `words` (without the program) are `sendmail ...`, or `send` with sendmail's words: no long
/// option is among them.
bool asks_for_sendmail(const std::vector<std::string>& words);

}  // namespace mansio::cli
