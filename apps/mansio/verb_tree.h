// The verbs as plain data, taken from the command line's own declarations: what completion scripts
// and manual pages are made from.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mansio::cli {

struct VerbOption {
  std::vector<std::string> names;  ///< "-h", "--help"; a positional: its only name, "destination"
  std::string help;
  std::string value;                 ///< "FILE"; empty: a flag
  std::string default_value;         ///< empty: none to show
  std::vector<std::string> choices;  ///< of the value; empty: any
  bool positional = false;
  bool required = false;
  bool several = false;  ///< may be given more than once

  bool takes_value() const { return !value.empty(); }

  /// The value is a file or a folder.
  bool takes_path() const;
};

struct Verb {
  std::string name;  ///< "check"
  std::string path;  ///< "mansio config check"
  std::string help;
  std::string footer;
  std::vector<VerbOption> options;
  std::vector<Verb> verbs;  ///< without those that are not to be seen
};

Verb verb_tree(const CLI::App& app);

}  // namespace mansio::cli
