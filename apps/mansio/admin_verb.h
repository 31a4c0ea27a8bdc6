// What the verbs that speak the admin API share: how they are run and print, their selectors, and
// how they notice Ctrl-C.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/time.h"
#include "mansio/admin_client.h"

namespace mansio::cli {

using Values = std::map<std::string, std::string>;
/// What a verb does; gives an Exit, or throws Failure.
using Work = std::function<int(const AdminClient&, bool json)>;

/// Makes `work` what main() runs when this verb was given.
void on_verb(CLI::App& verb, const GlobalOptions& options, std::function<int()>& action, Work work);

void print(const std::string& text);
void print_json(const Json& json);
/// The elements of a list, a line each.
void print_lines(const Json& list);

/// The id in its usual form. Throws Failure (usage) if it is none.
std::string require_id(const std::string& text);
/// Throws Failure (usage) that names the option.
Duration require_duration(const std::string& option, const std::string& text);

/// Adds --destination, --state and all others; what is given comes into `values` under its name in
/// the API.
void add_selectors(CLI::App& verb, const std::shared_ptr<Values>& values);

/// While one lives, SIGINT, SIGTERM and SIGHUP do not end the process but are noticed.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  bool seen() const;
  /// Returns earlier when one comes.
  void pause(Duration duration) const;
};

}  // namespace mansio::cli
