// The operator's command. Each verb adds itself to the command line and, when it was given, puts
// its work into `action`, which runs after parsing; its result is the exit code.
#pragma once

#include "mansio/spool_commands.h"

namespace mansio::cli {

/// All of the program; its exit code.
int run(int argc, char** argv, const SpoolVerbs& spool_verbs);

}  // namespace mansio::cli
