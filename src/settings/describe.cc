#include "settings/describe.h"

#include <fmt/format.h>

#include "base/text.h"

namespace mansio::settings {
namespace {

/// `key` without quoted names and array marks: route."*".next_hop and listener[0].address become
/// route.next_hop and listener.address.
std::string plain_key(std::string_view key) {
  std::string out;
  bool quoted = false, bracketed = false;
  for (const char c : key) {
    if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == ']')) {
      bracketed = c == '[';
    } else if (!quoted && !bracketed && !(c == '.' && out.ends_with('.'))) {
      out += c;
    }
  }
  return out;
}

/// Splits "route.next_hop" after the table; the rest of "limits" is empty.
std::pair<std::string, std::string> table_and_rest(std::string_view key) {
  const std::string plain = plain_key(key);
  const std::size_t dot = plain.find('.');
  if (dot == std::string::npos) return {plain, {}};
  return {plain.substr(0, dot), plain.substr(dot + 1)};
}

/// Calls `try_key` with the rest of the key, and for named tables also without its first part,
/// since the name may have been written without quotes: channel.archive.type.
template <class Try>
bool with_and_without_name(const Section& section, const std::string& rest, Try try_key) {
  if (try_key(rest)) return true;
  const std::size_t dot = rest.find('.');
  return section.shape == Shape::named && dot != std::string::npos && try_key(rest.substr(dot + 1));
}

std::string comment(std::string_view text, std::size_t width = 96) {
  std::string out, line = "#";
  for (const std::string_view word : split(text, ' ')) {
    if (line.size() > 1 && line.size() + 1 + word.size() > width) {
      out += line + '\n';
      line = "#";
    }
    line += ' ';
    line += word;
  }
  return out + line + '\n';
}

std::string header_line(const Section& section, const std::string& name) {
  switch (section.shape) {
    case Shape::table:
      return fmt::format("[{}]", section.name);
    case Shape::array:
      return fmt::format("[[{}]]", section.name);
    case Shape::named:
      return fmt::format("[{}.{}]", section.name, name);
  }
  return {};
}

/// Empty strings and lists are no default worth a line that could be taken for a value.
bool is_empty_value(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->empty();
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return list->empty();
  if (const auto* list = std::get_if<std::vector<Duration>>(&value)) return list->empty();
  return false;
}

std::string assignment(const Option& option) {
  if (option.default_value && !(is_empty_value(*option.default_value) && !option.example.empty())) {
    return fmt::format("{} = {}\n", option.key, to_toml(option.kind, *option.default_value));
  }
  return fmt::format("{}{} = {}\n", option.required ? "" : "# ", option.key, option.example);
}

/// The name as the file writes it behind the table's.
std::string written_name(const Section& section, const std::string& name) {
  return section.name_word == "NAME" ? name : quote_toml(name);
}

std::string shown_value(const Option& option, const Value& value) {
  if (!option.secret) return to_toml(option.kind, value);
  const std::string& from = std::get<std::string>(value);
  return quote_toml(from.empty() ? "********" : from);
}

}  // namespace

std::optional<Described> find_described(std::string_view key) {
  const auto [table, rest] = table_and_rest(key);
  const Section* section = find_section(table);
  if (section == nullptr) return std::nullopt;
  if (rest.empty()) return Described{section, nullptr};
  Described found{section, nullptr};
  with_and_without_name(*section, rest, [&](const std::string& name) {
    found.option = section->find(name);
    return found.option != nullptr;
  });
  if (found.option == nullptr) return std::nullopt;
  return found;
}

bool is_later_key(std::string_view key) {
  const auto [table, rest] = table_and_rest(key);
  for (const LaterSection& later : later_sections()) {
    if (later.name == table) return true;
  }
  const Section* section = find_section(table);
  return section != nullptr && with_and_without_name(*section, rest, [&](const std::string& name) {
           return section->find_later(name) != nullptr;
         });
}

std::string nearest_key(std::string_view key) {
  std::vector<std::string> known;
  for (const Section& section : sections()) {
    known.push_back(section.name);
    for (const Option& option : section.options) known.push_back(section.name + "." + option.key);
  }
  return nearest(plain_key(key), known);
}

std::string full_key(const Section& section, const Option& option) {
  return section.pattern() + "." + option.key;
}

std::string default_words(const Option& option) {
  if (option.required) return "required";
  if (!option.default_value) return "none";
  return to_toml(option.kind, *option.default_value);
}

std::string describe(const Described& described) {
  const Section& section = *described.section;
  if (described.option == nullptr) {
    std::string out =
        fmt::format("{}: {}\n", header_line(section, section.name_example), section.sentence);
    if (!section.nested.empty()) {
      out += fmt::format("[{}.{}.{}.{}]: {}\n", section.name, section.name_example, section.nested,
                         section.nested_example, section.nested_sentence);
    }
    for (const Option& option : section.options) {
      out += "\n" + describe({&section, &option});
    }
    return out;
  }
  const Option& option = *described.option;
  std::string out = full_key(section, option) + "\n";
  out += "  " + option.sentence + "\n";
  out += fmt::format("  type     {}{}\n", kind_name(option.kind), option.path ? ", a file" : "");
  const std::string range = option.range();
  if (!range.empty()) out += fmt::format("  values   {}\n", range);
  if (!option.valid_words.empty()) out += fmt::format("  expected {}\n", option.valid_words);
  out += fmt::format("  default  {}\n", default_words(option));
  if (!option.example.empty()) out += fmt::format("  example  {}\n", option.example);
  return out;
}

std::string defaults_file() {
  std::string out =
      "# Every option of this version with its default. What stands in a comment has no value "
      "until\n"
      "# it is set. Values that are names (hosts, paths, addresses) are examples.\n";
  for (const Section& section : sections()) {
    out += '\n' + comment(section.sentence);
    // A channel is there only to be named, so its table is an example as a whole.
    const bool example_only = section.name == "channel";
    std::string body = header_line(section, section.name_example) + "\n\n";
    for (const Option& option : section.options) {
      const std::string range = option.range();
      body += comment(option.sentence + (range.empty() ? "" : " (" + range + ")"));
      body += assignment(option) + '\n';
    }
    if (!section.nested.empty()) {
      body += comment(section.nested_sentence);
      body += fmt::format("# [{}.{}.{}.{}]\n\n", section.name, section.name_example,
                          section.nested, section.nested_example);
    }
    body.pop_back();
    if (!example_only) {
      out += body;
      continue;
    }
    for (const std::string_view line :
         split(std::string_view(body).substr(0, body.size() - 1), '\n')) {
      out += line.starts_with('#') || line.empty() ? std::string(line) + '\n'
                                                   : "# " + std::string(line) + '\n';
    }
  }
  return out;
}

namespace {

/// Visits every value with its table's header, its full key and its option.
template <class Visit>
void visit_values(const Loaded& loaded, Visit visit) {
  for (const Section& section : sections()) {
    const auto visit_table = [&](const std::string& path, const std::string& header,
                                 const void* owner) {
      for (const Option& option : section.options) {
        auto value = option.get(owner);
        if (!value) value = option.default_value;
        if (!value) continue;
        const std::string key = path + "." + option.key;
        const auto line = loaded.lines.find(key);
        visit(header, option,
              EffectiveValue{key, shown_value(option, *value),
                             line == loaded.lines.end() ? 0 : line->second});
      }
    };
    std::size_t index = 0;
    section.each(loaded.settings, [&](const std::string& name, const void* owner) {
      const std::string written = written_name(section, name);
      std::string path = section.name;
      if (section.shape == Shape::array) path += fmt::format("[{}]", index++);
      if (section.shape == Shape::named) path += "." + written;
      visit_table(path, header_line(section, written), owner);
    });
    if (section.nested.empty()) continue;
    section.each_nested(loaded.settings, [&](const std::string& name, const std::string& inner,
                                             const void* owner) {
      const std::string path =
          fmt::format("{}.{}.{}.{}", section.name, written_name(section, name), section.nested,
                      quote_toml(inner));
      visit_table(path, "[" + path + "]", owner);
    });
  }
}

}  // namespace

std::vector<EffectiveValue> effective_values(const Loaded& loaded) {
  std::vector<EffectiveValue> out;
  visit_values(loaded, [&](const std::string&, const Option&, EffectiveValue value) {
    out.push_back(std::move(value));
  });
  return out;
}

std::string effective_file(const Loaded& loaded, const std::string& path) {
  std::string out, table;
  visit_values(loaded, [&](const std::string& header, const Option& option, EffectiveValue value) {
    const std::string table_path = value.key.substr(0, value.key.size() - option.key.size() - 1);
    if (table_path != table) {
      out += fmt::format("{}{}\n", out.empty() ? "" : "\n", header);
      table = table_path;
    }
    const bool replaced = table_path == "retry" && loaded.lines.contains("retry.intervals") &&
                          (option.key == "min" || option.key == "factor" || option.key == "max");
    if (replaced) {
      out += fmt::format("# {}: replaced by intervals\n", option.key);
      return;
    }
    const std::string origin =
        value.line == 0 ? std::string("default") : fmt::format("{}:{}", path, value.line);
    const bool off = option.key == "intervals" && value.value == "[]";
    out += fmt::format("{:<50} # {}\n",
                       fmt::format("{}{} = {}", off ? "# " : "", option.key, value.value), origin);
  });
  return out;
}

}  // namespace mansio::settings
