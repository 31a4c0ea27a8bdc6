// docs/manual/commands.md, from the help of every verb.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mansio::cli {

/// Verbs of later versions: recognised, refused by name with exit 2, and listed in the manual.
struct LaterVerb {
  const char* name;  ///< "suspend", "spool backup"
  const char* does;
};

const std::vector<LaterVerb>& later_verbs();

struct ExitMeaning {
  int code;
  const char* meaning;
};

/// Of every verb; in the manual and the manual pages.
const std::vector<ExitMeaning>& exit_meanings();

std::string commands_page(const CLI::App& app);

}  // namespace mansio::cli
