// `mansio spool` is done by a program of its own, mansio-spool: the database that only these verbs
// need would take longer to load than the other verbs take to run.
#pragma once

#include "mansio/spool_commands.h"

namespace mansio::cli {

/// Verbs that put mansio-spool, with the same arguments, in the place of this program. It stands
/// beside this program, or where it is installed: in ../lib/mansio.
SpoolVerbs spool_program(char** arguments);

}  // namespace mansio::cli
