#include "mansio/roff.h"

#include <fmt/format.h>

namespace mansio::cli::roff {
namespace {

std::string upper(std::string word) {
  for (char& c : word) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return word;
}

}  // namespace

std::string text(std::string_view plain) {
  std::string out;
  bool line_begins = true;
  for (const char c : plain) {
    if (c == '`') continue;
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string title(const std::string& name, int part, const std::string& version,
                  const char* manual) {
  return fmt::format(".TH {} {} \"\" \"mansio {}\" \"{}\"\n", text(upper(name)), part, version,
                     manual);
}

std::string section(const char* name) { return fmt::format(".SH {}\n", name); }

std::string bold(const std::string& plain) { return "\\fB" + text(plain) + "\\fR"; }

std::string italic(const std::string& plain) { return "\\fI" + text(plain) + "\\fR"; }

std::string item(const std::string& term, const std::string& meaning) {
  return ".TP\n" + term + "\n" + meaning + "\n";
}

std::string verbatim(std::string_view plain) {
  return ".PP\n.nf\n" + text(plain) + (plain.ends_with('\n') ? "" : "\n") + ".fi\n";
}

std::string see_also(const char* pages) { return section("SEE ALSO") + std::string(pages) + "\n"; }

}  // namespace mansio::cli::roff
