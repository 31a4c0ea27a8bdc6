#include "mansio/commands_page.h"

#include "base/text.h"

namespace mansio::cli {
namespace {

const char* const introduction = R"(# Commands

<!-- Made by `mansio config manual commands` from the verbs themselves: change it there. -->

`mansio` is the operator's command. Most verbs speak to a running daemon over its admin API: where
`--admin` says, else where `MANSIO_ADMIN` says, else at `/run/mansio/admin.sock`, else at
`http://127.0.0.1:8025`. The global options may stand before or after the verb. Output is aligned text
for people; with `--json` it is one object, or JSON lines for lists, with times in RFC 3339, UTC.

)";

/// Help without blanks at line ends and empty lines at both ends, so that the page is stable.
std::string tidy(const std::string& help) {
  std::string out;
  for (std::string_view line : split(help, '\n')) {
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (line.empty() && (out.empty() || out.ends_with("\n\n"))) continue;
    out += std::string(line) + '\n';
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

/// CLI::App::help() would give that of the verb that was parsed instead.
std::string help_of(const CLI::App& app, const std::string& path) {
  const bool root = app.get_parent() == nullptr;
  return app.get_formatter()->make_help(&app, root ? path : path + " " + app.get_name(),
                                        CLI::AppFormatMode::Normal);
}

void add_verbs(const CLI::App& app, const std::string& path, std::string& out) {
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_group().empty()) continue;
    const std::string name = path + " " + verb->get_name();
    out += "\n## `" + name + "`\n\n```\n" + tidy(help_of(*verb, path)) + "```\n";
    add_verbs(*verb, name, out);
  }
}

}  // namespace

const std::vector<ExitMeaning>& exit_meanings() {
  static const std::vector<ExitMeaning> all = {
      {0, "done; an empty `list` is 0 too"},
      {1, "a given id or selector matched nothing"},
      {2, "wrong usage, an invalid file, or a verb that this version does not have"},
      {3, "the daemon cannot be reached"},
      {4, "a check failed, or a bulk verb was ended early"},
      {5, "the daemon, or the server spoken to, refused"},
  };
  return all;
}

const std::vector<LaterVerb>& later_verbs() {
  static const std::vector<LaterVerb> all = {
      {"reroute", "send queued mail another way"},
      {"rebind", "move queued mail to another binding"},
      {"explain", "the values that hold for a destination"},
      {"qm", "the queue manager's verbs in its own spelling"},
      {"lua", "run a script"},
      {"policy", "modules and scripts that decide"},
      {"events", "follow what happens"},
      {"warmup", "raise limits slowly"},
      {"simulate", "try settings on recorded traffic"},
      {"spool backup", "copy a spool while it runs"},
      {"spool export", "write mail out of a spool"},
      {"spool import", "take mail into a spool"},
      {"spool upgrade", "bring a spool to the newest format"},
  };
  return all;
}

std::string commands_page(const CLI::App& app) {
  std::string out = introduction;
  out += "| exit | means |\n| --- | --- |\n";
  for (const ExitMeaning& exit : exit_meanings()) {
    out += "| " + std::to_string(exit.code) + " | " + exit.meaning + " |\n";
  }
  out += "\n## `mansio`\n\n```\n" + tidy(help_of(app, app.get_name())) + "```\n";
  add_verbs(app, app.get_name(), out);
  out += "\n## Verbs of later versions\n\nThey are recognised and refused with exit 2.\n\n";
  out += "| verb | what it will do |\n| --- | --- |\n";
  for (const LaterVerb& verb : later_verbs()) {
    out += "| `" + std::string(verb.name) + "` | " + verb.does + " |\n";
  }
  return out;
}

}  // namespace mansio::cli
