#include "mansio/verb_tree.h"

#include "base/text.h"

namespace mansio::cli {
namespace {

/// From "TEXT:{none,commands,full}", which is how CLI11 writes them.
std::vector<std::string> choices_of(const std::string& type, const std::string& value) {
  if (value == "STATE") {
    return {"active", "deferred", "held", "suspended", "in_flight", "in_doubt", "quarantined"};
  }
  const std::size_t begin = type.find('{');
  const std::size_t end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  std::vector<std::string> choices;
  for (const std::string_view choice :
       split(std::string_view(type).substr(begin + 1, end - begin - 1), ',')) {
    choices.emplace_back(choice);
  }
  return choices;
}

VerbOption option_of(const CLI::Option& option) {
  VerbOption made;
  made.positional = option.get_positional();
  if (made.positional) {
    made.names.push_back(option.get_name(true));
  } else {
    for (const std::string& name : option.get_snames()) made.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) made.names.push_back("--" + name);
  }
  made.help = option.get_description();
  const std::string type = option.get_type_name();
  if (option.get_items_expected_max() != 0) made.value = type.substr(0, type.find_first_of(":{"));
  made.choices = choices_of(type, made.value);
  made.default_value = option.get_default_str();
  made.required = option.get_required();
  made.several = option.get_items_expected_max() > 1;
  return made;
}

Verb verb_of(const CLI::App& app, const std::string& parent) {
  Verb verb;
  verb.name = app.get_name();
  verb.path = parent.empty() ? verb.name : parent + " " + verb.name;
  verb.help = app.get_description();
  verb.footer = app.get_footer();
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_group().empty()) verb.options.push_back(option_of(*option));
  }
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!child->get_group().empty()) verb.verbs.push_back(verb_of(*child, verb.path));
  }
  return verb;
}

}  // namespace

bool VerbOption::takes_path() const { return value == "FILE" || value == "PATH" || value == "DIR"; }

Verb verb_tree(const CLI::App& app) { return verb_of(app, ""); }

}  // namespace mansio::cli
