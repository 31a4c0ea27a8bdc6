#include "mansio/spool_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace mansio::cli {
namespace {

namespace fs = std::filesystem;

/// Returns only if the program cannot be run.
int become_spool_program(char** arguments) {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path beside = here / "mansio-spool";
  const fs::path installed = here.parent_path() / "lib" / "mansio" / "mansio-spool";
  const fs::path program = fs::exists(beside) ? beside : installed;
  ::execv(program.c_str(), arguments);
  std::fprintf(stderr, "mansio: %s, which does this, cannot be run: %s\n", program.c_str(),
               std::strerror(errno));
  return check_failed;
}

}  // namespace

SpoolVerbs spool_program(char** arguments) {
  SpoolVerbs verbs;
  verbs.check = verbs.stats = [arguments](const SpoolPlace&, bool) {
    return become_spool_program(arguments);
  };
  return verbs;
}

}  // namespace mansio::cli
