// `mansio spool`: audits a spool that no daemon has open. What is declared here is done by the
// program mansio-spool, see spool_program.h.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "mansio/options.h"

namespace mansio::cli {

/// The spool that is meant: by its path, or by the configuration that names it.
struct SpoolPlace {
  std::string path;
  std::string config;
  bool rebuild = false;
};

/// What the verbs do; they give the exit code.
struct SpoolVerbs {
  using Work = std::function<int(const SpoolPlace& place, bool json)>;
  Work check;
  Work stats;
};

/// Adds the verb; see add_admin_commands() for `action`.
void add_spool_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action,
                       const SpoolVerbs& verbs);

}  // namespace mansio::cli
