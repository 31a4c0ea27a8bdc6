// Every option of the configuration file, declared once: key, kind, default, range and sentence,
// bound to the field of settings.h it fills. The parser, its error messages, `mansio config` and
// the manual are all made from this table. Thread safety: the table is constant.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "settings/settings.h"
#include "settings/value.h"

namespace mansio::settings {

/// One option of a table. `void*` is the struct of the table: Server, Listener, Route...
struct Option {
  std::string key;  ///< inside its table: "drain", "auth.user"
  Kind kind = Kind::text;
  std::string sentence;  ///< what it does, one sentence
  bool required = false;
  bool path = false;                  ///< a file: relative to the configuration file
  bool secret = false;                ///< never shown
  std::optional<double> least, most;  ///< of the value; durations in seconds, sizes in octets
  std::vector<std::string> choices;   ///< of a string; empty: any
  /// Choices of a later version: refused by name.
  std::vector<std::string> later_choices;
  std::string example;  ///< as TOML writes it: shown where there is no default
  /// What a string (or each of a list) must be, where choices do not say it: the function tells if
  /// it is, the words what was expected.
  std::function<bool(std::string_view)> valid;
  std::string valid_words;

  std::function<void(void*, const Value&)> set;
  /// nullopt: has no value.
  std::function<std::optional<Value>(const void*)> get;
  /// The default, from a fresh struct; nullopt: none.
  std::optional<Value> default_value;

  /// "1 to 65535", "at least 1s", "smtp | lmtp"; empty: any value of the kind.
  std::string range() const;
};

/// A key that a later version has. It is refused by name, unless it says what holds anyway.
struct LaterKey {
  std::string key;  ///< inside its table
  std::string off;  ///< the value (as TOML writes it) that switches it off; empty: none
};

enum class Shape : std::uint8_t {
  table,  ///< [server]
  array,  ///< [[listener]]
  named,  ///< [route."pattern"]
};

/// A table of the file.
struct Section {
  std::string name{};
  Shape shape = Shape::table;
  std::string name_word{};     ///< of a named one, what the name is: "pattern"
  std::string name_example{};  ///< as written in the file: "\"*\""
  std::string sentence{};
  std::vector<Option> options{};
  std::vector<LaterKey> later{};

  /// Of a named one: the key under which tables named by a second pattern hold the same options,
  /// [route."pattern".sender."PATTERN"]; empty: there is none.
  std::string nested{};
  std::string nested_example{};
  std::string nested_sentence{};

  /// The struct to fill; for arrays and named tables a new one called `name`.
  std::function<void*(Settings&, const std::string& name)> add{};
  /// Visits what there is, with its name ("" for tables and arrays).
  std::function<void(const Settings&, const std::function<void(const std::string&, const void*)>&)>
      each{};
  /// The same for nested tables, whose second name comes after the first.
  std::function<void*(Settings&, const std::string& name, const std::string& inner)> add_nested{};
  std::function<void(const Settings&,
                     const std::function<void(const std::string& name, const std::string& inner,
                                              const void*)>&)>
      each_nested{};

  const Option* find(std::string_view key) const;
  const LaterKey* find_later(std::string_view key) const;
  /// "server", "listener[]", "route.\"pattern\"".
  std::string pattern() const;
};

/// In the order of the manual.
const std::vector<Section>& sections();
const Section* find_section(std::string_view name);

/// Tables of later versions, all of whose keys are refused by name; with the keys that may be there
/// with the value that switches them off.
struct LaterSection {
  std::string name;
  std::string sentence;
  std::vector<LaterKey> off;
};

const std::vector<LaterSection>& later_sections();

/// The nearest of `known` to a mistyped word; empty: none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace mansio::settings
