#include "mansio/control_commands.h"

#include "mansio/admin_verb.h"

namespace mansio::cli {
namespace {

struct ControlVerb {
  const char* name;
  const char* help;
  const char* footer;
  const char* done;  ///< what is said when it has worked
};

constexpr ControlVerb control_verbs[] = {
    {"drain", "Accepts nothing new while everything that is queued goes on being delivered",
     "Clients get a temporary refusal, /readyz answers 503. It lasts until undrain or a restart.\n"
     "Example: mansio drain --reason \"kernel update\"",
     "draining: nothing new is accepted\n"},
    {"undrain", "Accepts again", "Example: mansio undrain", "accepting again\n"},
    {"reload", "Reads the configuration again; exit 5 says what is wrong with it",
     "If anything is wrong with the file, nothing changes.\nExample: mansio reload",
     "reloaded: the new settings are in force\n"},
};

void add_control(CLI::App& app, GlobalOptions& options, std::function<int()>& action,
                 const ControlVerb& kind) {
  CLI::App* verb = app.add_subcommand(kind.name, kind.help);
  auto reason = std::make_shared<std::string>();
  if (kind.name == std::string("drain")) {
    verb->add_option("--reason", *reason, "Why; clients and probes see it")->type_name("TEXT");
  }
  verb->footer(kind.footer);
  on_verb(*verb, options, action, [reason, &kind](const AdminClient& client, bool json) {
    Json body = Json::object();
    if (!reason->empty()) body["reason"] = *reason;
    const Json answer = client.post(std::string("/v1/") + kind.name, body);
    json ? print_json(answer) : print(kind.done);
    return static_cast<int>(done);
  });
}

}  // namespace

void add_control_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  for (const ControlVerb& verb : control_verbs) add_control(app, options, action, verb);
}

}  // namespace mansio::cli
