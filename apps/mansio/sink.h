// `mansio sink`: an SMTP or LMTP server that answers by rule, counts and records what arrives and
// keeps nothing. The next hop of the demo, the far end of the benchmarks, and, with --check, the
// judge of whether everything that was acknowledged has arrived, once and unchanged.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mansio::cli {

/// Registers the verb with its options. When it was given on the command line, `action` is set to
/// what runs it and returns the exit code. `app` and `action` must outlive the parse.
void add_sink_command(CLI::App& app, std::function<int()>& action);

}  // namespace mansio::cli
