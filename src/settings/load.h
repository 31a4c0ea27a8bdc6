// Reading the configuration file: TOML in, checked Settings out, or an error that names file, line,
// key, what was found and what was expected. Start-up and reload only; never on an event loop.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "settings/settings.h"

namespace mansio::settings {

/// One thing that is wrong with a file.
struct Problem {
  unsigned line = 0;    ///< 0: of the file as a whole
  std::string key;      ///< "limits.message", "listener[0].address"; empty: TOML syntax or the file
  std::string message;  ///< what was found and what was expected
};

/// The first problem in the order of lines; `problems` has all of them, that one included.
/// what() is "FILE:LINE: KEY: MESSAGE".
class ConfigError : public std::runtime_error {
 public:
  ConfigError(std::string file, std::vector<Problem> problems);

  const std::string file;
  const std::vector<Problem> problems;
  const unsigned line;
  const std::string key;
  const std::string message;
};

/// "FILE:LINE: KEY: MESSAGE", without what there is not.
std::string describe_problem(const std::string& file, const Problem& problem);

struct Loaded {
  Settings settings;
  std::map<std::string, unsigned> lines;  ///< line of every key that the file sets
};

/// Reads and checks a file; nothing but the file itself, and the secrets and certificates that it
/// names, is looked at. Throws ConfigError.
Settings load(const std::string& path);
Loaded load_with_lines(const std::string& path);
/// For programs that other users run: what the file names (secrets, certificates) is not looked at,
/// so passwords stay empty, and whether the values go together is not checked. Throws ConfigError.
Settings load_for_clients(const std::string& path);
/// The same for text that is not a file yet: `path` is what errors call it, and what relative paths
/// start from.
Loaded parse(std::string_view text, const std::string& path);

}  // namespace mansio::settings
