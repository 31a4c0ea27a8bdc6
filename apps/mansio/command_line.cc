#include "mansio/command_line.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "base/text.h"
#include "mansio/admin_commands.h"
#include "mansio/commands_page.h"
#include "mansio/completion.h"
#include "mansio/config_commands.h"
#include "mansio/load.h"
#include "mansio/send_command.h"
#include "mansio/sendmail.h"
#include "mansio/sink.h"
#include "settings/declaration.h"

namespace mansio::cli {
namespace {

int not_available(const std::string& verb) {
  std::fprintf(stderr, "mansio: %s is not available in this version\n", verb.c_str());
  return usage;
}

/// What later versions have: refused by name whatever follows it, instead of taken for a mistake.
void add_later_verbs(CLI::App& app, std::function<int()>& action) {
  for (const LaterVerb& later : later_verbs()) {
    const std::string name = later.name;
    const std::size_t space = name.find(' ');
    CLI::App& parent =
        space == std::string::npos ? app : *app.get_subcommand(name.substr(0, space));
    CLI::App* verb = parent.add_subcommand(
        space == std::string::npos ? name : name.substr(space + 1), later.does);
    verb->group("")->prefix_command()->fallthrough(false);
    verb->set_help_flag();
    verb->callback([&action, name] { action = [name] { return not_available(name); }; });
  }
}

int no_such_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(verb->get_name());
  }
  const std::string near = settings::nearest(word, known);
  std::fprintf(stderr, "mansio: there is no verb %s%s; see mansio --help\n", escape(word).c_str(),
               near.empty() ? "" : (": did you mean " + near + "?").c_str());
  return usage;
}

int run_verb(int argc, char** argv, const SpoolVerbs& spool_verbs) {
  CLI::App app("Operates Mansio, a durable mail queue and delivery engine.", "mansio");
  app.set_version_flag("--version", "mansio " MANSIO_VERSION);
  app.require_subcommand(1);
  app.fallthrough();  // global options may follow the verb

  GlobalOptions options;
  app.add_option("--admin", options.admin, "Admin API: http://HOST:PORT or the path of a socket")
      ->envname("MANSIO_ADMIN")
      ->type_name("URL");
  app.add_flag("--json", options.json, "Machine-readable output");
  std::function<int()> action;
  add_admin_commands(app, options, action);
  add_send_command(app, options, action);
  add_sendmail_command(app, options, action);
  add_config_command(app, options, action);
  add_spool_command(app, options, action, spool_verbs);
  add_load_command(app, action);
  add_sink_command(app, action);
  add_completion_command(app, action);
  add_later_verbs(app, action);
  app.footer(  // last, so that verbs do not inherit it

      "Exit: 0 done; 1 nothing matched; 2 usage or invalid file; 3 daemon unreachable;\n"
      "4 a check failed; 5 refused. Every verb explains itself with --help.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const auto unknown = app.remaining();
    if (!unknown.empty() && app.get_subcommands().empty())
      return no_such_verb(app, unknown.front());
    const int code = app.exit(error);  // prints the help, the version, or what is wrong
    return code == 0 ? done : usage;
  }
  return action ? action() : static_cast<int>(usage);
}

}  // namespace

int run(int argc, char** argv, const SpoolVerbs& spool_verbs) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like another
  try {
    const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const std::string name = sendmail_name(argc > 0 ? argv[0] : "");
    if (!name.empty()) return run_sendmail(name, words);
    if (asks_for_sendmail(words)) {
      return run_sendmail("sendmail", {words.begin() + 1, words.end()});
    }
    return run_verb(argc, argv, spool_verbs);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mansio: %s\n", error.what());
    return check_failed;
  }
}

}  // namespace mansio::cli
