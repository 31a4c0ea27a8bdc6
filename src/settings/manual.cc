// docs/manual/settings.md, from the declarations.
#include <fmt/format.h>

#include "base/text.h"
#include "settings/describe.h"

namespace mansio::settings {
namespace {

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string code(std::string_view text) { return text.empty() ? "" : fmt::format("`{}`", text); }

std::string values_cell(const Option& option) {
  const std::string range = option.range();
  if (!option.choices.empty()) return cell(code(range));
  std::string out = kind_name(option.kind);
  if (option.path) out = "file";
  if (!range.empty()) out += ", " + range;
  return cell(out);
}

std::string header_of(const Section& section) {
  switch (section.shape) {
    case Shape::table:
      return fmt::format("[{}]", section.name);
    case Shape::array:
      return fmt::format("[[{}]]", section.name);
    case Shape::named:
      return fmt::format("[{}]", section.pattern());
  }
  return {};
}

std::string section_part(const Section& section) {
  std::string out = fmt::format("\n## `{}`\n\n{}\n\n", header_of(section), section.sentence);
  out += "| key | values | default | what it does |\n| --- | --- | --- | --- |\n";
  for (const Option& option : section.options) {
    const std::string shown_default = option.required        ? "required"
                                      : option.default_value ? cell(code(default_words(option)))
                                                             : "";
    std::string sentence = option.sentence;
    if (!option.example.empty()) sentence += " Example: " + code(option.example) + ".";
    out += fmt::format("| `{}` | {} | {} | {} |\n", option.key, values_cell(option), shown_default,
                       cell(sentence));
  }
  if (!section.nested.empty()) {
    out += fmt::format("\n`[{}.{}.{}.{}]`: {}\n", section.name, section.name_example,
                       section.nested, section.nested_example, section.nested_sentence);
  }
  if (section.later.empty()) return out;
  out += "\nNot available in this version, and refused unless switched off: ";
  for (std::size_t i = 0; i < section.later.size(); ++i) {
    if (i != 0) out += ", ";
    out += fmt::format("`{} = {}`", section.later[i].key, section.later[i].off);
  }
  return out + ".\n";
}

const char* const introduction =
    R"(# Settings

<!-- Made by `mansio config manual` from src/settings/declaration.cc: change it there. -->

The daemon reads one TOML file, `mansiod --config FILE`. The least that works names the server, the
spool, one listener and one route:

```toml
[server]
hostname = "mail.example.org"

[spool]
url = "file:/var/lib/mansio/spool"

[[listener]]
address = "127.0.0.1:2525"
relay_from = ["127.0.0.0/8"]

[route."*"]
next_hop = ["smarthost.example.net:25"]
```

- Durations are written `"90s"`, `"15m"`, `"4h"`, `"5d"`, `"1h30m"`; sizes `"50KiB"`, `"10MiB"`.
- Relative paths start from the folder of the file.
- Patterns: an exact domain wins, then the longest `*.suffix`, then `*`. `*.example.com` is what lies
  below `example.com`, not that domain itself. A pattern with dots is written in quotes.
- What is wrong stops the daemon from starting (exit 78) with the file, the line, the key, what was
  found and what was expected. Unknown keys are wrong; so are keys of later versions, which are
  refused by name.

`mansio config check FILE` tells what is wrong without starting anything, `mansio config describe KEY`
explains one option, `mansio config defaults` prints a complete file, and
`mansio config effective --config FILE` shows every value that holds and the line it comes from.
)";

}  // namespace

std::string manual_page() {
  std::string out = introduction;
  for (const Section& section : sections()) out += section_part(section);
  out += "\n## Tables of later versions\n\nThey are refused by name in this version.\n\n";
  out += "| table | what it will be for |\n| --- | --- |\n";
  for (const LaterSection& later : later_sections()) {
    out += fmt::format("| `[{}]` | {} |\n", later.name, cell(later.sentence));
  }
  return out;
}

}  // namespace mansio::settings
