#include "mansio/spool_commands.h"

#include <memory>

namespace mansio::cli {

void add_spool_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action,
                       const SpoolVerbs& verbs) {
  CLI::App* group = app.add_subcommand("spool", "Look after a spool that no daemon has open");
  group->require_subcommand(1);
  const auto place = std::make_shared<SpoolPlace>();
  const auto add = [&](const char* name, const char* help, const SpoolVerbs::Work& work) {
    CLI::App* verb = group->add_subcommand(name, help);
    auto* path = verb->add_option("path", place->path, "Folder of the spool")->type_name("PATH");
    verb->add_option("--config", place->config, "Take the spool of this configuration")
        ->type_name("FILE")
        ->excludes(path);
    verb->callback([&options, &action, place, work] {
      action = [&options, place, work] { return work(*place, options.json); };
    });
    return verb;
  };
  CLI::App* verb =
      add("check", "Audit every record, index row and content; exit 4 if something is wrong",
          verbs.check);
  verb->add_flag("--rebuild", place->rebuild,
                 "If something is wrong, make a new index from the journal: mail is kept, but "
                 "deliveries may repeat and totals count only what the journal still holds");
  verb->footer("Example: mansio spool check /var/lib/mansio/spool");
  add("stats", "What is in a spool, in numbers", verbs.stats);
}

}  // namespace mansio::cli
