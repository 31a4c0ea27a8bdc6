#include "mansio/man_page.h"

#include <fmt/format.h>

#include "mansio/commands_page.h"
#include "mansio/roff.h"
#include "settings/describe.h"

namespace mansio::cli {
namespace {

std::string option_item(const VerbOption& option) {
  std::string term;
  for (const std::string& name : option.names) {
    term +=
        (term.empty() ? "" : ", ") + (option.positional ? roff::italic(name) : roff::bold(name));
  }
  if (option.takes_value() && !option.positional) term += " " + roff::italic(option.value);
  std::string meaning = option.help;
  if (!option.choices.empty()) {
    std::string words;
    for (const std::string& choice : option.choices) words += (words.empty() ? "" : ", ") + choice;
    if (meaning.find(option.choices.front()) == std::string::npos) meaning += ": " + words;
  }
  if (!option.default_value.empty()) meaning += ". Default: " + option.default_value;
  if (option.required && !option.positional) meaning += ". Required";
  return roff::item(term, roff::text(meaning) + (meaning.ends_with('.') ? "" : "."));
}

std::string synopsis_of(const Verb& verb) {
  std::string line = roff::bold(verb.path);
  bool options = false;
  for (const VerbOption& option : verb.options) {
    const bool help = option.names.back() == "--help";
    if (!option.positional && option.required) {
      line += " " + roff::bold(option.names.back()) + " " + roff::italic(option.value);
    }
    options = options || (!option.positional && !option.required && !help);
  }
  if (options) line += " [" + roff::italic("options") + "]";
  for (const VerbOption& option : verb.options) {
    if (!option.positional) continue;
    const std::string name = roff::italic(option.names.front()) + (option.several ? " ..." : "");
    line += option.required ? " " + name : " [" + name + "]";
  }
  return line;
}

void add_verbs(const Verb& verb, std::string& out) {
  for (const Verb& child : verb.verbs) {
    out += ".SS " + child.path.substr(child.path.find(' ') + 1) + "\n";
    out += synopsis_of(child) + "\n.PP\n";
    out += roff::text(child.help) + ".\n";
    for (const VerbOption& option : child.options) {
      if (option.names.back() != "--help") out += option_item(option);
    }
    if (!child.footer.empty()) out += roff::verbatim(child.footer);
    add_verbs(child, out);
  }
}

std::string command_page(const Verb& root, const std::string& version) {
  std::string out = roff::title("mansio", 1, version, "User commands");
  out += roff::section("NAME") + "mansio \\- operate the mail queue and delivery engine Mansio\n";
  out += roff::section("SYNOPSIS") + roff::bold("mansio") + " [" + roff::italic("global options") +
         "] " + roff::italic("verb") + " [" + roff::italic("options") + "]\n";
  out += roff::section("DESCRIPTION") +
         roff::text(R"(Most verbs speak to a running daemon over its admin API:
where --admin says, else where MANSIO_ADMIN says, else at /run/mansio/admin.sock, else at
http://127.0.0.1:8025. Output is aligned text for people; with --json it is one object, or JSON
lines for lists, with times in RFC 3339, UTC.
)");
  out += roff::section("GLOBAL OPTIONS") + "They may stand before or after the verb.\n";
  for (const VerbOption& option : root.options) out += option_item(option);
  out += roff::section("VERBS");
  add_verbs(root, out);
  out += roff::section("EXIT STATUS");
  for (const ExitMeaning& exit : exit_meanings()) {
    out += roff::item(roff::bold(std::to_string(exit.code)), roff::text(exit.meaning) + ".");
  }
  out += roff::section("ENVIRONMENT") +
         roff::item(roff::bold("MANSIO_ADMIN"),
                    roff::text("Where the admin API is, if --admin does not say."));
  out += roff::section("FILES") +
         roff::item(roff::italic("/run/mansio/admin.sock"), "The admin API's usual socket.") +
         roff::item(roff::italic("/etc/mansio/mansio.toml"), "The daemon's usual configuration.");
  return out +
         roff::see_also("\\fBmansiod\\fR(8), \\fBmansio.toml\\fR(5), \\fBmansio\\-sendmail\\fR(1)");
}

/// What follows the sentence of an option: "size, 1KiB to 1TiB; default "50MiB"".
std::string facts_of(const settings::Option& option) {
  std::string text = std::string(settings::kind_name(option.kind));
  if (!option.range().empty()) text += ", " + option.range();
  text += option.required        ? "; required"
          : option.default_value ? "; default " + settings::default_words(option)
                                 : "; no default";
  if (!option.example.empty()) text += "; such as " + option.example;
  return text;
}

std::string settings_page(const std::string& version) {
  std::string out = roff::title("mansio.toml", 5, version, "File formats");
  out += roff::section("NAME") +
         "mansio.toml \\- configuration of the mail queue and delivery engine Mansio\n";
  out += roff::section("DESCRIPTION") +
         roff::text(R"(The configuration is TOML. An unknown key, a wrong type or a
value out of range is an error that names the line. Durations are written as "15m", sizes as
"10MiB". Relative paths are relative to the folder of the file. Patterns: an exact name wins, then
the longest "*.suffix", then "*". "mansio config check FILE" checks a file, "mansio config describe
KEY" explains a setting, "mansio config defaults" prints a complete file.
)");
  for (const settings::Section& part : settings::sections()) {
    const bool array = part.shape == settings::Shape::array;
    const std::string name = array ? "[[" + part.name + "]]"
                             : part.shape == settings::Shape::named
                                 ? "[" + part.name + "." + part.name_example + "]"
                                 : "[" + part.name + "]";
    std::string escaped;
    for (const char c : roff::text(name))
      escaped += c == '"' ? std::string("\\(dq") : std::string(1, c);
    out += ".SH " + escaped + "\n" + roff::text(part.sentence) + "\n";
    for (const settings::Option& option : part.options) {
      out += roff::item(roff::bold(option.key), roff::text(option.sentence) + "\n.br\n" +
                                                    roff::text(facts_of(option)) + ".");
    }
  }
  return out + roff::see_also("\\fBmansiod\\fR(8), \\fBmansio\\fR(1)");
}

std::string daemon_page(const std::string& version) {
  std::string out = roff::title("mansiod", 8, version, "System administration");
  out += roff::section("NAME") + "mansiod \\- durable outbound mail queue and delivery engine\n";
  out += roff::section("SYNOPSIS") + roff::bold("mansiod") + " " + roff::bold("--config") + " " +
         roff::italic("FILE") + " [" + roff::bold("--log-format") + " " +
         roff::italic("text|json") + "]\n";
  out += roff::section("DESCRIPTION") +
         roff::text(R"(Accepts messages, keeps them on disk until every recipient
has an outcome, delivers them, tries again what failed for a time, and reports failures to the
sender. It stays in the foreground, logs to standard error, and tells the service manager when it
is ready.
)");
  out += roff::section("OPTIONS") +
         roff::item(roff::bold("--config") + " " + roff::italic("FILE"),
                    "The configuration, see \\fBmansio.toml\\fR(5).") +
         roff::item(roff::bold("--log-format") + " " + roff::italic("text|json"),
                    "Form of the log lines.") +
         roff::item(roff::bold("--version"), "Prints the version.") +
         roff::item(roff::bold("-h") + ", " + roff::bold("--help"), "Prints a summary.");
  out +=
      roff::section("SIGNALS") +
      roff::item(roff::bold("SIGHUP"),
                 "Reads the configuration again. If anything is wrong with it, nothing changes.") +
      roff::item(roff::bold("SIGTERM") + ", " + roff::bold("SIGINT"),
                 "Stops: no new mail, sessions under way may end within \\fBserver.drain\\fR. "
                 "A second one ends the process at once, which is as safe as a crash.");
  out += roff::section("EXIT STATUS");
  const std::pair<int, const char*> codes[] = {
      {0, "It was stopped."},
      {69, "An address is in use or not available."},
      {70, "An error of the program, or a stop that did not end."},
      {73, "Another process has the spool open."},
      {74, "The spool cannot be read or written."},
      {76, "The spool is damaged, foreign, unexpectedly empty, or of a newer version."},
      {78, "The configuration is wrong: file, line, key, and what was expected."}};
  for (const auto& [code, meaning] : codes)
    out += roff::item(roff::bold(std::to_string(code)), meaning);
  return out + roff::see_also("\\fBmansio\\fR(1), \\fBmansio.toml\\fR(5)");
}

/// Its options are read as other programs' `sendmail` read theirs, not by the verbs' declarations.
std::string sendmail_page(const std::string& version) {
  std::string out = roff::title("mansio-sendmail", 1, version, "User commands");
  out += roff::section("NAME") +
         "mansio\\-sendmail, sendmail, mailq \\- hand over mail as local programs do\n";
  out += roff::section("SYNOPSIS") + roff::bold("sendmail") + " [" + roff::italic("options") +
         "] [" + roff::italic("recipient") + " ...]\n.br\n" + roff::bold("mailq") + "\n.br\n" +
         roff::bold("mansio sendmail") + " [" + roff::italic("options") + "] [" +
         roff::italic("recipient") + " ...]\n";
  out +=
      roff::section("DESCRIPTION") +
      roff::text(R"(Reads a message from standard input and hands it to the daemon. When the daemon
does not take it, the message is left in the maildrop, on disk, and the daemon takes it from there
when it runs again. What has no meaning here is accepted; what would promise something else is
refused.
)");
  out += roff::section("OPTIONS");
  const std::pair<const char*, const char*> options[] = {
      {"-t", "Takes the recipients from To, Cc and Bcc of the message."},
      {"-i", "A line with a single dot does not end the message. Also -oi."},
      {"-f ADDRESS", "The envelope sender; <> for none. Also -r."},
      {"-F NAME", "The full name for a From field that is missing."},
      {"-N never|success,failure,delay", "Which notices the sender wants (RFC 3461)."},
      {"-R full|hdrs", "How much of the message a failure notice returns."},
      {"-V ID", "The envelope id that notices repeat."},
      {"-B 7BIT|8BITMIME", "Accepted; the content itself says what it is."},
      {"-C FILE", "The configuration of the daemon."},
      {"-v", "Says what happens."},
      {"-bm", "Hands over a message: what is done without a mode."},
      {"-bs", "Speaks SMTP on standard input and output."},
      {"-bp", "Lists the queue, as mailq does."},
      {"-bi", "Does nothing: there are no aliases. As newaliases."},
      {"-q",
       "Tries everything in the queue now; -qI, -qR and -qS with text choose by id, recipient "
       "and sender."}};
  for (const auto& [term, meaning] : options) {
    const std::string words = term;
    const std::size_t space = words.find(' ');
    std::string head = roff::bold(words.substr(0, space));
    if (space != std::string::npos) head += " " + roff::italic(words.substr(space + 1));
    out += roff::item(head, roff::text(meaning));
  }
  out += roff::section("EXIT STATUS") + "Those of sysexits.h:\n";
  const std::pair<int, const char*> codes[] = {
      {0, "The message is on disk, in the daemon's spool or in the maildrop."},
      {64, "Wrong usage."},
      {65, "The message is wrong."},
      {67, "A recipient was refused for good."},
      {69, "The message was refused for good, or no daemon answers where one is needed."},
      {70, "An error of the program."},
      {75, "Not accepted for now: try again."},
      {78, "The configuration is wrong."}};
  for (const auto& [code, meaning] : codes) {
    out += roff::item(roff::bold(std::to_string(code)), meaning);
  }
  return out + roff::see_also("\\fBmansio\\fR(1), \\fBmansiod\\fR(8)");
}

}  // namespace

std::vector<std::string> man_pages() {
  return {"mansio.1", "mansio-sendmail.1", "mansio.toml.5", "mansiod.8"};
}

std::string man_page(const std::string& name, const Verb& root, const std::string& version) {
  if (name == "mansio.1") return command_page(root, version);
  if (name == "mansio-sendmail.1") return sendmail_page(version);
  if (name == "mansio.toml.5") return settings_page(version);
  if (name == "mansiod.8") return daemon_page(version);
  return "";
}

}  // namespace mansio::cli
