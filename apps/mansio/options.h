// What every verb of `mansio` shares: the global options and the exit codes.
#pragma once

#include <string>

namespace mansio::cli {

/// Options before or after the verb, filled when parsing is done: a verb reads them in its action.
struct GlobalOptions {
  std::string admin;  ///< --admin URL or the path of a Unix socket, else $MANSIO_ADMIN; empty: the
                      ///< first that answers of /run/mansio/admin.sock and http://127.0.0.1:8025
  bool json = false;  ///< --json: one object, or JSON lines for lists
};

/// Exit codes, the same for every verb.
enum Exit : int {
  done = 0,
  no_match = 1,      ///< a given id or selector matched nothing
  usage = 2,         ///< wrong usage or an invalid file; also a verb this version does not have
  unreachable = 3,   ///< no daemon answered
  check_failed = 4,  ///< a check found something wrong
  refused = 5,       ///< the daemon, or the server spoken to, refused
};

}  // namespace mansio::cli
