// `mansio load`: the load generator. Speaks SMTP or LMTP over connections that are reused and
// pipelined, as lean as possible, because it is the yardstick of the benchmarks. It works without a
// daemon's admin API and shares no protocol code with the engine, so that a mistake there shows
// here.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mansio::cli {

/// Registers the verb with its options. When it was given on the command line, `action` is set to
/// what runs it and returns the exit code. `app` and `action` must outlive the parse.
void add_load_command(CLI::App& app, std::function<int()>& action);

}  // namespace mansio::cli
