// TOML into Settings, by the declarations: every table and key is looked up there, its value is
// converted and checked, and what is not declared is refused with the nearest name. Only when all
// values are sound by themselves is it checked whether they go together (checks.cc).
#include "settings/load.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "base/octets.h"
#include "base/text.h"
#include "settings/checks.h"
#include "settings/declaration.h"
#include "settings/pattern.h"

namespace mansio::settings {
namespace {

constexpr std::size_t shown_max = 60;

/// What stands in the file, for messages: quoted strings, numbers as they are, else the kind.
std::string found(const toml::node& node, bool secret = false) {
  if (secret && node.is_value()) return "another value";
  if (const auto* text = node.as_string()) {
    const std::string& full = text->get();
    return full.size() > shown_max ? quote_toml(full.substr(0, shown_max)) + "..."
                                   : quote_toml(full);
  }
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (node.is_array_of_tables()) return "a list of tables";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

/// As TOML writes it, to compare with the value that switches a later key off.
std::string literal(const toml::node& node) {
  const auto* list = node.as_array();
  if (list != nullptr) return list->empty() ? "[]" : "[...]";
  return found(node);
}

bool has_control_octets(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
  });
}

std::string with_suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  return near.empty() ? std::string() : fmt::format(": did you mean \"{}\"?", near);
}

class Reader {
 public:
  /// `complete`: also reads and checks what the file names.
  explicit Reader(const std::string& path, bool complete = true)
      : path_(path),
        complete_(complete),
        folder_(std::filesystem::absolute(path).parent_path().string()) {}

  Loaded read(std::string_view text) {
    try {
      const toml::table root = toml::parse(text, path_);
      read_root(root);
    } catch (const toml::parse_error& error) {
      report_at(error.source().begin.line, "",
                fmt::format("found what is not TOML; expected: {}", error.description()));
    }
    if (problems_.empty() && complete_) {
      complete_and_check(loaded_.settings, folder_,
                         [this](const std::string& key, const std::string& message) {
                           report_at(line_of(key), key, message);
                         });
    }
    if (problems_.empty()) check_intervals();
    if (!problems_.empty()) throw ConfigError(path_, std::move(problems_));
    return std::move(loaded_);
  }

 private:
  void report_at(unsigned line, const std::string& key, std::string message) {
    problems_.push_back({line, key, std::move(message)});
  }

  /// The line of a key, or of the nearest table around it.
  unsigned line_of(std::string key) const {
    while (!key.empty()) {
      const auto at = loaded_.lines.find(key);
      if (at != loaded_.lines.end()) return at->second;
      const std::size_t dot = key.rfind('.');
      key.resize(dot == std::string::npos ? 0 : dot);
    }
    return 0;
  }

  /// Both ways to say it would leave one of them without effect.
  void check_intervals() {
    if (!loaded_.lines.contains("retry.intervals")) return;
    for (const char* key : {"retry.min", "retry.factor", "retry.max"}) {
      if (!loaded_.lines.contains(key)) continue;
      report_at(line_of(key), key,
                "found beside intervals, which replaces it; expected one of the two");
    }
  }

  void read_root(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      const unsigned line = key.source().begin.line;
      if (const Section* section = find_section(name)) {
        read_section(*section, node, line);
      } else if (const LaterSection* later = find_later_section(name)) {
        refuse_later(*later, name, node, line);
      } else {
        std::vector<std::string> known;
        for (const Section& item : sections()) known.push_back(item.name);
        report_at(
            line, name,
            "found an unknown table or key; expected one that `mansio config defaults` shows" +
                with_suggestion(name, known));
      }
    }
    for (const Section& section : sections()) {
      if (section.shape != Shape::table || root.contains(section.name)) continue;
      require_all(section, section.name, {}, 0);
    }
  }

  static const LaterSection* find_later_section(std::string_view name) {
    for (const LaterSection& section : later_sections()) {
      if (section.name == name) return &section;
    }
    return nullptr;
  }

  /// A table of a later version: allowed only as far as its values say that it is off.
  void refuse_later(const LaterSection& later, const std::string& path, const toml::node& node,
                    unsigned line) {
    const auto* table = node.as_table();
    bool all_off = table != nullptr && !table->empty();
    if (table != nullptr) {
      for (const auto& [key, value] : *table) {
        const auto off = std::find_if(later.off.begin(), later.off.end(), [&](const auto& item) {
          return item.key == key.str() && item.off == literal(value);
        });
        if (off != later.off.end()) continue;
        report_at(key.source().begin.line, path + "." + std::string(key.str()),
                  "not available in this version; expected it to be absent");
        return;
      }
    }
    if (!all_off) report_at(line, path, "not available in this version; expected it to be absent");
  }

  void read_section(const Section& section, const toml::node& node, unsigned line) {
    switch (section.shape) {
      case Shape::table:
        if (const auto* table = node.as_table()) {
          read_table(section, section.name, *table, line,
                     section.add(loaded_.settings, section.name));
        } else {
          report_at(line, section.name,
                    fmt::format("found {}; expected a table [{}]", found(node), section.name));
        }
        return;
      case Shape::array:
        return read_array(section, node, line);
      case Shape::named:
        return read_named(section, node, line);
    }
  }

  void read_array(const Section& section, const toml::node& node, unsigned line) {
    const auto* list = node.as_array();
    if (list == nullptr || (!list->empty() && !list->is_homogeneous<toml::table>())) {
      report_at(line, section.name,
                fmt::format("found {}; expected tables [[{}]]", found(node), section.name));
      return;
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      read_table(section, fmt::format("{}[{}]", section.name, i), *(*list)[i].as_table(),
                 (*list)[i].source().begin.line, section.add(loaded_.settings, {}));
    }
  }

  void read_named(const Section& section, const toml::node& node, unsigned line) {
    const std::string expected = section.name_word == "NAME"
                                     ? fmt::format("tables [{}.NAME]", section.name)
                                     : fmt::format("tables [{}.\"PATTERN\"]", section.name);
    const auto* tables = node.as_table();
    if (tables == nullptr) {
      report_at(line, section.name, fmt::format("found {}; expected {}", found(node), expected));
      return;
    }
    std::set<std::string> names;
    for (const auto& [key, item] : *tables) {
      const std::string name =
          section.name_word == "NAME" ? std::string(key.str()) : canonical_pattern(key.str());
      const unsigned item_line = key.source().begin.line;
      const std::string path = section.name_word == "NAME" ? section.name + "." + name
                                                           : section.name + "." + quote_toml(name);
      const auto* table = item.as_table();
      if (table == nullptr) {
        report_at(item_line, section.name + "." + std::string(key.str()),
                  fmt::format("found {}; expected {}", found(item), expected));
      } else if (!check_name(section, path, name, item_line)) {
        continue;
      } else if (!names.insert(name).second) {
        report_at(item_line, path,
                  "found the same pattern twice (case does not matter); expected it once");
      } else {
        if (!holds_nested_only(section, *table)) {
          read_table(section, path, *table, item_line, section.add(loaded_.settings, name));
        }
        const auto* nested = section.nested.empty() ? nullptr : table->get(section.nested);
        if (nested != nullptr) {
          read_nested(section, path, name, *nested, nested->source().begin.line);
        }
      }
    }
  }

  /// [route."x".sender."y"] without a [route."x"], before or behind it: TOML makes that table of
  /// itself, where the inner one begins, and it is no route for other senders.
  static bool holds_nested_only(const Section& section, const toml::table& table) {
    if (section.nested.empty() || table.size() != 1 || table.is_inline()) return false;
    const auto only = table.begin();
    return only->first.str() == section.nested &&
           only->first.source().begin.line == table.source().begin.line;
  }

  /// [route."PATTERN".sender."SENDER"], whose tables have the options of the section again.
  void read_nested(const Section& section, const std::string& path, const std::string& name,
                   const toml::node& node, unsigned line) {
    const std::string group = path + "." + section.nested;
    const auto* tables = node.as_table();
    if (tables == nullptr) {
      report_at(line, group,
                fmt::format("found {}; expected tables [{}.{}]", found(node), group,
                            section.nested_example));
      return;
    }
    std::set<std::string> names;
    for (const auto& [key, item] : *tables) {
      const std::string inner = canonical_sender_pattern(key.str());
      const std::string full = group + "." + quote_toml(inner);
      const unsigned item_line = key.source().begin.line;
      const auto* table = item.as_table();
      if (!valid_sender_pattern(inner)) {
        report_at(item_line, full,
                  fmt::format("found the pattern {}; expected an address, \"*@\" and a domain, "
                              "\"*@*.\" and a domain, or \"<>\"",
                              quote_toml(inner)));
      } else if (table == nullptr) {
        report_at(item_line, full,
                  fmt::format("found {}; expected a table [{}]", found(item), full));
      } else if (!names.insert(inner).second) {
        report_at(item_line, full,
                  "found the same pattern twice (case does not matter); expected it once");
      } else {
        read_table(section, full, *table, item_line,
                   section.add_nested(loaded_.settings, name, inner));
        if (table->contains(section.nested)) {
          report_at(item_line, full + "." + section.nested,
                    "found inside a table of its kind; expected it in the route alone");
        }
      }
    }
  }

  bool check_name(const Section& section, const std::string& path, const std::string& name,
                  unsigned line) {
    if (section.name_word == "NAME") {
      const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
      });
      if (!plain) {
        report_at(line, path, "found another character in the name; expected a-z, 0-9, _ and -");
      } else if (!channel_type({}, name).empty()) {
        report_at(line, path, "found the name of a channel that is always there; expected another");
      } else {
        return true;
      }
      return false;
    }
    if (valid_pattern(name)) return true;
    report_at(line, path,
              fmt::format("found the pattern {}; expected a domain, \"*.\" and a domain, or \"*\"",
                          quote_toml(name)));
    return false;
  }

  void read_table(const Section& section, const std::string& path, const toml::table& table,
                  unsigned line, void* owner) {
    loaded_.lines[path] = line;
    std::set<std::string> present;
    read_keys(section, path, {}, table, owner, present);
    require_all(section, path, present, line);
  }

  void require_all(const Section& section, const std::string& path,
                   const std::set<std::string>& present, unsigned line) {
    for (const Option& option : section.options) {
      if (!option.required || present.contains(option.key)) continue;
      report_at(line, path + "." + option.key,
                fmt::format("found none; expected one such as {}", option.example));
    }
  }

  void read_keys(const Section& section, const std::string& path, const std::string& prefix,
                 const toml::table& table, void* owner, std::set<std::string>& present) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      const std::string full = path + "." + name;
      const unsigned line = key.source().begin.line;
      loaded_.lines[full] = line;
      if (const Option* option = section.find(name)) {
        present.insert(name);
        if (auto value = convert(*option, full, node, line)) option->set(owner, *value);
      } else if (const LaterKey* later = section.find_later(name)) {
        if (later->off != literal(node)) {
          report_at(line, full,
                    fmt::format("found {}: not available in this version; expected it to be absent",
                                found(node)));
        }
      } else if (!section.nested.empty() && name == section.nested) {
        continue;  // read_nested() has it
      } else if (node.is_table() && has_group(section, name)) {
        read_keys(section, path, name + ".", *node.as_table(), owner, present);
      } else {
        report_unknown(section, full, name, node, line);
      }
    }
  }

  static bool has_group(const Section& section, const std::string& name) {
    return std::any_of(section.options.begin(), section.options.end(),
                       [&](const Option& option) { return option.key.starts_with(name + "."); });
  }

  void report_unknown(const Section& section, const std::string& full, const std::string& name,
                      const toml::node& node, unsigned line) {
    if (section.shape == Shape::named && section.name_word != "NAME" && node.is_table()) {
      report_at(line, full,
                fmt::format("found a table in a table; a pattern with dots is written in quotes: "
                            "[{}.\"example.com\"]",
                            section.name));
      return;
    }
    if (has_group(section, name)) {
      report_at(line, full, fmt::format("found {}; expected a table", found(node)));
      return;
    }
    std::vector<std::string> known;
    for (const Option& option : section.options) known.push_back(option.key);
    report_at(line, full,
              fmt::format("found an unknown key; expected one of `mansio config describe {}`{}",
                          section.name, with_suggestion(name, known)));
  }

  // --- values -------------------------------------------------------------------------------

  static std::string expected(const Option& option) {
    if (!option.choices.empty()) {
      std::string out;
      for (std::size_t i = 0; i < option.choices.size(); ++i) {
        if (i != 0) out += i + 1 == option.choices.size() ? " or " : ", ";
        out += quote_toml(option.choices[i]);
      }
      return out;
    }
    if (!option.valid_words.empty()) {
      return option.kind == Kind::texts ? "a list, each " + option.valid_words : option.valid_words;
    }
    const std::string range = option.range();
    return expectation(option.kind) + (range.empty() ? "" : ", " + range);
  }

  std::nullopt_t refuse(const Option& option, const std::string& full, const toml::node& node,
                        unsigned line) {
    report_at(line, full,
              fmt::format("found {}; expected {}", found(node, option.secret), expected(option)));
    return std::nullopt;
  }

  static bool in_range(const Option& option, double number) {
    return (!option.least || number >= *option.least) && (!option.most || number <= *option.most);
  }

  static std::optional<Duration> duration(const Option& option, const toml::node& node) {
    const auto* text = node.as_string();
    if (text == nullptr) return std::nullopt;
    const auto value = parse_duration(text->get());
    if (!value || !in_range(option, std::chrono::duration<double>(*value).count())) {
      return std::nullopt;
    }
    return value;
  }

  static std::optional<std::uint64_t> size(const toml::node& node) {
    if (const auto* number = node.as_integer()) {
      if (number->get() >= 0) return static_cast<std::uint64_t>(number->get());
    }
    const auto* text = node.as_string();
    return text == nullptr ? std::nullopt : parse_octets(text->get());
  }

  std::optional<std::string> text(const Option& option, const std::string& full,
                                  const toml::node& node, unsigned line) {
    const auto* string = node.as_string();
    if (string == nullptr) return refuse(option, full, node, line);
    const std::string& value = string->get();
    const auto has = [&value](const std::vector<std::string>& list) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (has(option.later_choices)) {
      report_at(line, full,
                fmt::format("found {}, which is not available in this version; "
                            "expected {}",
                            quote_toml(value), expected(option)));
      return std::nullopt;
    }
    if (has_control_octets(value) || (!option.choices.empty() && !has(option.choices)) ||
        (option.valid && !option.valid(value)) || (option.required && value.empty())) {
      return refuse(option, full, node, line);
    }
    return option.path ? resolve_path(folder_, value) : value;
  }

  template <class Item, class Convert>
  std::optional<Value> list(const Option& option, const std::string& full, const toml::node& node,
                            unsigned line, Convert convert_item) {
    const auto* array = node.as_array();
    if (array == nullptr) return refuse(option, full, node, line);
    std::vector<Item> out;
    for (const toml::node& element : *array) {
      auto item = convert_item(element);
      if (!item) return std::nullopt;
      out.push_back(std::move(*item));
    }
    return Value(std::move(out));
  }

  std::optional<Value> convert(const Option& option, const std::string& full,
                               const toml::node& node, unsigned line) {
    switch (option.kind) {
      case Kind::text:
        if (auto value = text(option, full, node, line)) return Value(std::move(*value));
        return std::nullopt;
      case Kind::boolean:
        if (const auto* value = node.as_boolean()) return Value(value->get());
        break;
      case Kind::integer:
        if (const auto* value = node.as_integer()) {
          if (value->get() >= 0 && in_range(option, static_cast<double>(value->get()))) {
            return Value(static_cast<std::uint64_t>(value->get()));
          }
        }
        break;
      case Kind::number:
        if (const auto value = node.value<double>(); value && node.is_number()) {
          if (in_range(option, *value)) return Value(*value);  // false for a NaN with a range
        }
        break;
      case Kind::duration:
        if (const auto value = duration(option, node)) return Value(*value);
        break;
      case Kind::size:
        if (const auto value = size(node)) {
          if (in_range(option, static_cast<double>(*value))) return Value(*value);
        }
        break;
      case Kind::texts:
        return list<std::string>(option, full, node, line, [&](const toml::node& element) {
          return text(option, full, element, element.source().begin.line);
        });
      case Kind::durations:
        return list<Duration>(option, full, node, line,
                              [&](const toml::node& element) -> std::optional<Duration> {
                                if (const auto value = duration(option, element)) return value;
                                return refuse(option, full, element, element.source().begin.line);
                              });
    }
    return refuse(option, full, node, line);
  }

  const std::string path_;
  const bool complete_;
  const std::string folder_;
  Loaded loaded_;
  std::vector<Problem> problems_;
};

/// By line; what concerns the file as a whole comes last, since a line often explains it.
std::vector<Problem> in_order(std::vector<Problem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return a.line - 1 < b.line - 1;  // 0 wraps to the largest
  });
  return problems;
}

}  // namespace

std::string describe_problem(const std::string& file, const Problem& problem) {
  std::string out = file;
  if (problem.line != 0) out += ":" + std::to_string(problem.line);
  if (!problem.key.empty()) out += ": " + problem.key;
  return escape(out) + ": " + problem.message;
}

ConfigError::ConfigError(std::string file_name, std::vector<Problem> found_problems)
    : std::runtime_error(describe_problem(file_name, in_order(found_problems).front())),
      file(std::move(file_name)),
      problems(in_order(std::move(found_problems))),
      line(problems.front().line),
      key(problems.front().key),
      message(problems.front().message) {}

Loaded parse(std::string_view text, const std::string& path) { return Reader(path).read(text); }

namespace {

std::string read_file(const std::string& path) {
  std::error_code ignored;
  // A folder opens and reads as an empty file.
  if (std::filesystem::is_directory(path, ignored)) {
    throw ConfigError(path, {{0, "", "found a folder; expected a TOML file"}});
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    // An empty file fails here too, since nothing can be inserted.
    if (!file || file.peek() != std::ifstream::traits_type::eof()) {
      throw ConfigError(path, {{0, "", "found no file that can be read; expected a TOML file"}});
    }
  }
  std::string content = std::move(text).str();
  if (trim(content).empty()) {
    throw ConfigError(path, {{0, "",
                              "found an empty file; expected at least [server], [spool], one "
                              "[[listener]] and one [route] (see: mansio config defaults)"}});
  }
  return content;
}

}  // namespace

Loaded load_with_lines(const std::string& path) { return parse(read_file(path), path); }

Settings load_for_clients(const std::string& path) {
  const std::string text = read_file(path);
  return Reader(path, false).read(text).settings;
}

Settings load(const std::string& path) { return load_with_lines(path).settings; }

}  // namespace mansio::settings
