#include "mansio/config_commands.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "mansio/commands_page.h"
#include "mansio/man_page.h"
#include "settings/describe.h"
#include "settings/load.h"

namespace mansio::cli {
namespace {

using Json = nlohmann::ordered_json;

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Json& json) {
  print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

int check(const std::string& path, bool json) {
  std::vector<settings::Problem> problems;
  try {
    settings::load(path);
  } catch (const settings::ConfigError& error) {
    problems = error.problems;
  }
  if (json) {
    Json list = Json::array();
    for (const settings::Problem& problem : problems) {
      list.push_back({{"line", problem.line}, {"key", problem.key}, {"message", problem.message}});
    }
    print_json({{"file", path}, {"ok", problems.empty()}, {"problems", list}});
  } else if (problems.empty()) {
    print(path + ": ok\n");
  }
  if (!json) {
    for (const settings::Problem& problem : problems) {
      std::fprintf(stderr, "%s\n", settings::describe_problem(path, problem).c_str());
    }
  }
  return problems.empty() ? done : usage;
}

Json option_json(const settings::Section& section, const settings::Option& option) {
  Json object{{"key", settings::full_key(section, option)},
              {"type", settings::kind_name(option.kind)},
              {"range", option.range()},
              {"required", option.required},
              {"default", nullptr},
              {"description", option.sentence}};
  if (option.default_value) object["default"] = settings::default_words(option);
  if (!option.example.empty()) object["example"] = option.example;
  return object;
}

void print_options_json(const settings::Section& section, const settings::Option* only) {
  for (const settings::Option& option : section.options) {
    if (only == nullptr || only == &option) print_json(option_json(section, option));
  }
}

int describe(const std::string& key, bool json) {
  const auto described = settings::find_described(key);
  if (!described) {
    if (settings::is_later_key(key)) {
      std::fprintf(stderr, "mansio: %s is not available in this version\n", key.c_str());
      return usage;
    }
    const std::string near = settings::nearest_key(key);
    std::fprintf(stderr, "mansio: there is no setting %s%s\n", key.c_str(),
                 near.empty() ? "" : (": did you mean " + near + "?").c_str());
    return usage;
  }
  if (json) {
    print_options_json(*described->section, described->option);
  } else {
    print(settings::describe(*described));
  }
  return done;
}

int defaults(bool json) {
  if (!json) {
    print(settings::defaults_file());
    return done;
  }
  for (const settings::Section& section : settings::sections()) {
    print_options_json(section, nullptr);
  }
  return done;
}

int effective(const std::string& path, bool json) {
  try {
    const settings::Loaded loaded = settings::load_with_lines(path);
    if (!json) {
      print(settings::effective_file(loaded, path));
      return done;
    }
    for (const settings::EffectiveValue& value : settings::effective_values(loaded)) {
      Json object{{"key", value.key}, {"value", value.value}, {"file", nullptr}, {"line", nullptr}};
      if (value.line != 0) object.update({{"file", path}, {"line", value.line}});
      print_json(object);
    }
    return done;
  } catch (const settings::ConfigError& error) {
    for (const settings::Problem& problem : error.problems) {
      std::fprintf(stderr, "%s\n", settings::describe_problem(path, problem).c_str());
    }
    return usage;
  }
}

/// "1.2.3" of "mansio 1.2.3".
std::string version_of(const CLI::App& app) {
  const std::string text = app.version();
  return text.substr(text.find(' ') + 1);
}

}  // namespace

void add_config_command(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* config = app.add_subcommand("config", "Check and explain the configuration file");
  config->require_subcommand(1);

  const auto argument = std::make_shared<std::string>();
  CLI::App* verb =
      config->add_subcommand("check", "Tell everything that is wrong with a file (exit 2), or ok");
  verb->add_option("file", *argument, "Configuration file")->required()->type_name("FILE");
  verb->footer("Example: mansio config check /etc/mansio/mansio.toml");
  verb->callback(
      [&, argument] { action = [&, argument] { return check(*argument, options.json); }; });

  verb = config->add_subcommand("describe", "Explain an option, or a table with all its options");
  verb->add_option("key", *argument, "Such as limits.message, listener.address, or route")
      ->required()
      ->type_name("KEY");
  verb->footer("Example: mansio config describe limits.message");
  verb->callback(
      [&, argument] { action = [&, argument] { return describe(*argument, options.json); }; });

  verb = config->add_subcommand("defaults", "Print a complete file with every option");
  verb->footer("Example: mansio config defaults > mansio.toml");
  verb->callback([&] { action = [&] { return defaults(options.json); }; });

  verb = config->add_subcommand("effective",
                                "Print every value that holds and the line it comes from");
  verb->add_option("--config", *argument, "Configuration file")->required()->type_name("FILE");
  verb->footer("Example: mansio config effective --config /etc/mansio/mansio.toml");
  verb->callback(
      [&, argument] { action = [&, argument] { return effective(*argument, options.json); }; });

  verb = config->add_subcommand("manual", "Print a page of the manual that is made from the code");
  verb->group("");  // for the build of the manual only
  std::vector<std::string> pages = man_pages();
  pages.insert(pages.begin(), {"settings", "commands"});
  verb->add_option("page", *argument)->required()->check(CLI::IsMember(pages));
  verb->callback([&, argument] {
    action = [&, argument] {
      print(*argument == "settings"   ? settings::manual_page()
            : *argument == "commands" ? commands_page(app)
                                      : man_page(*argument, verb_tree(app), version_of(app)));
      return static_cast<int>(done);
    };
  });
}

}  // namespace mansio::cli
