#include "mansio/admin_commands.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "base/id.h"
#include "base/text.h"
#include "mansio/admin_client.h"

namespace mansio::cli {
namespace {

using Work = std::function<int(const AdminClient&, bool json)>;

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Json& json) {
  print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

/// The elements of a list, a line each.
void print_lines(const Json& list) {
  for (const Json& element : list) print_json(element);
}

/// Makes `work` what main() runs when this verb was given.
void on_verb(CLI::App& verb, const GlobalOptions& options, std::function<int()>& action,
             Work work) {
  verb.callback([&options, &action, work = std::move(work)] {
    action = [&options, work] {
      try {
        const int exit = work(AdminClient(options), options.json);
        if (std::fflush(stdout) == 0) return exit;
        std::fprintf(stderr, "mansio: standard output cannot be written\n");
        return static_cast<int>(check_failed);
      } catch (const Failure& failure) {
        std::fflush(stdout);
        std::fprintf(stderr, "mansio: %s\n", failure.what());
        return static_cast<int>(failure.exit());
      }
    };
  });
}

std::string require_id(const std::string& text) {
  const auto id = QueueId::parse(text);
  if (!id) throw Failure(usage, "not a queue id (26 characters): " + printable(text));
  return id->to_string();
}

// ---- selectors ----------------------------------------------------------------------------------

struct SelectorFlag {
  const char* flag;
  const char* name;  ///< in the API
  const char* value;
  const char* help;
};

constexpr SelectorFlag selector_flags[] = {
    {"--destination", "destination", "DOMAIN", "Routing domain; \"*.example\" matches the end"},
    {"--binding", "binding", "NAME", "Binding of the recipient's lane"},
    {"--sender", "sender", "ADDRESS",
     "Reverse-path, \"<>\" for the null path; \"*@x\" matches the end"},
    {"--recipient", "recipient", "ADDRESS", "Recipient; \"*@x\" matches the end"},
    {"--tenant", "tenant", "NAME", "Tenant of the message"},
    {"--state", "state", "STATE",
     "active, deferred, held, suspended, in_flight, in_doubt or quarantined"},
    {"--older-than", "older_than", "DURATION", "Accepted longer ago: 90s, 15m, 2d"},
    {"--tries-min", "tries_min", "N", "Tried at least N times"},
    {"--retries-min", "retries_min", "N", "Deferred at least N times"},
    {"--size-min", "size_min", "SIZE", "At least so large: 512, 10MiB"},
    {"--subject", "subject", "TEXT", "Part of the subject, upper and lower case alike"},
};

using Values = std::map<std::string, std::string>;

void add_selectors(CLI::App& verb, const std::shared_ptr<Values>& values) {
  for (const SelectorFlag& flag : selector_flags) {
    const std::string name = flag.name;
    verb.add_option_function<std::string>(
            flag.flag, [values, name](const std::string& value) { (*values)[name] = value; },
            flag.help)
        ->type_name(flag.value)
        ->group("Selectors (all given ones must hold)");
  }
}

// ---- reading ------------------------------------------------------------------------------------

void add_status(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand("status", "Health of the daemon and what it is doing");
  verb->footer("Example: mansio status --json | jq .accepting");
  on_verb(*verb, options, action, [](const AdminClient& client, bool json) {
    const Json status = client.get("/v1/status");
    json ? print_json(status) : print(status_text(status));
    return static_cast<int>(done);
  });
}

void add_summary(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "summary", "Exact totals of recipients; exit code 4 if they do not balance");
  verb->footer("Example: mansio summary");
  on_verb(*verb, options, action, [](const AdminClient& client, bool json) {
    const Json summary = client.get("/v1/summary");
    json ? print_json(summary) : print(summary_text(summary));
    return static_cast<int>(summary.value("balanced", false) ? done : check_failed);
  });
}

int list_messages(const AdminClient& client, Values values, std::uint64_t limit, bool json) {
  constexpr std::uint64_t page = 500;
  std::uint64_t left = limit == 0 ? UINT64_MAX : limit;
  do {
    values["limit"] = std::to_string(std::min(left, page));
    const Json answer = client.get("/v1/messages" + query_of(values));
    for (const Json& message : answer.at("messages")) {
      if (json) {
        print_json(message);
      } else {
        print(listed_text(message));
      }
      --left;
    }
    values["resume"] = answer.value("resume", "");
  } while (left > 0 && !values["resume"].empty());
  return done;
}

void add_list(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb =
      app.add_subcommand("list", "Messages in the queue, with the recipients that match");
  auto values = std::make_shared<Values>();
  auto limit = std::make_shared<std::uint64_t>(0);
  add_selectors(*verb, values);
  verb->add_option("--limit", *limit, "At most N messages; 0, the default: all")->type_name("N");
  verb->footer("Example: mansio list --destination example.com --state deferred --older-than 1h");
  on_verb(*verb, options, action, [values, limit](const AdminClient& client, bool json) {
    return list_messages(client, *values, *limit, json);
  });
}

struct IdVerb {
  const char* name;
  const char* help;
  const char* footer;
  const char* suffix;  ///< of the target
  const char* list;    ///< member that is a list: JSON lines; null: one object
  std::string (*text)(const Json&);
};

constexpr IdVerb id_verbs[] = {
    {"show", "One message with all that is known of it",
     "Example: mansio show 01HZX3J5Q8K2M4N6P7R9S0T1V2", "", nullptr, message_text},
    {"history", "Every event and attempt of every recipient, also of messages that are gone",
     "Example: mansio history 01HZX3J5Q8K2M4N6P7R9S0T1V2", "/history", "history", history_text},
    {"why", "What each recipient waits for, the setting that caused it, and the next try",
     "Example: mansio why 01HZX3J5Q8K2M4N6P7R9S0T1V2", "/why", "waits", waits_text},
};

void add_id_verb(CLI::App& app, GlobalOptions& options, std::function<int()>& action,
                 const IdVerb& kind) {
  CLI::App* verb = app.add_subcommand(kind.name, kind.help);
  auto id = std::make_shared<std::string>();
  verb->add_option("id", *id, "Queue id")->required()->type_name("ID");
  verb->footer(kind.footer);
  on_verb(*verb, options, action, [id, &kind](const AdminClient& client, bool json) {
    const Json answer = client.get("/v1/messages/" + require_id(*id) + kind.suffix);
    if (!json) {
      print(kind.text(answer));
    } else if (kind.list == nullptr) {
      print_json(answer);
    } else {
      print_lines(answer.at(kind.list));
    }
    return static_cast<int>(done);
  });
}

// ---- content ------------------------------------------------------------------------------------

/// Total size from "bytes 0-99/1234"; 0 if it is not there.
std::uint64_t total_size(const net::HttpResult& result) {
  const auto header = result.headers.find("content-range");
  if (header == result.headers.end()) return 0;
  const std::size_t slash = header->second.rfind('/');
  if (slash == std::string::npos) return 0;
  return parse_decimal(std::string_view(header->second).substr(slash + 1)).value_or(0);
}

std::string base64(std::string_view octets) {
  static constexpr char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = i; j < i + 3; ++j) {
      bits = bits << 8 | (j < octets.size() ? static_cast<unsigned char>(octets[j]) : 0u);
    }
    const std::size_t have = std::min<std::size_t>(3, octets.size() - i);
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= have ? alphabet[bits >> (18 - 6 * j) & 63u] : '=';
    }
  }
  return out;
}

/// Line by line, so that a terminal obeys nothing in the message.
std::string terminal_text(std::string_view octets) {
  std::string out;
  for (const std::string_view line : split(octets, '\n')) {
    out += printable(line.ends_with('\r') ? line.substr(0, line.size() - 1) : line) + "\n";
  }
  return out;
}

int print_content(const AdminClient& client, const std::string& id, bool json) {
  const bool terminal = !json && ::isatty(STDOUT_FILENO) != 0;
  std::string all;  // only where the whole is needed at once
  for (std::uint64_t offset = 0, total = 1; offset < total;) {
    const net::HttpResult result =
        client.raw("/v1/messages/" + id + "/content?offset=" + std::to_string(offset));
    total = result.status == 206 ? total_size(result) : result.body.size();
    offset += result.body.size();
    if (result.body.empty() && offset < total) {
      throw Failure(refused, "the content ended early");
    }
    if (json || terminal) {
      all += result.body;
    } else {
      print(result.body);
    }
  }
  if (json) {
    Json object;
    object["id"] = id;
    object["size"] = all.size();
    object["base64"] = base64(all);
    print_json(object);
  } else if (terminal) {
    print(terminal_text(all));
  }
  return done;
}

void add_content(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand("content", "The octets of a message, as they are stored");
  auto id = std::make_shared<std::string>();
  verb->add_option("id", *id, "Queue id")->required()->type_name("ID");
  verb->footer(
      "Control characters are escaped only where the output is a terminal; with --json the octets\n"
      "are in base64.\n"
      "Example: mansio content 01HZX3J5Q8K2M4N6P7R9S0T1V2 > message.eml");
  on_verb(*verb, options, action, [id](const AdminClient& client, bool json) {
    return print_content(client, require_id(*id), json);
  });
}

// ---- changing -----------------------------------------------------------------------------------

struct ChangeVerb {
  const char* name;
  const char* help;
  const char* footer;
};

constexpr ChangeVerb change_verbs[] = {
    {"retry", "Makes recipients due now; counts no try",
     "Example: mansio retry --destination example.com --reason \"their server is back\""},
    {"hold", "Stops recipients until they are released",
     "Example: mansio hold --sender newsletter@example.org --reason \"wrong price\""},
    {"release", "Gives held, in-doubt and quarantined recipients back to the queue",
     "Example: mansio release --state held --sender newsletter@example.org"},
    {"bounce", "Fails recipients for good and reports it to the sender",
     "Example: mansio bounce --recipient \"*@old.example\" --reason \"domain is closed\""},
    {"remove", "Deletes recipients without any report",
     "Example: mansio remove --subject \"test run\" --dry-run"},
};

struct ChangeOptions {
  std::vector<std::string> ids;
  Values selector;
  bool everything = false;
  bool dry_run = false;
  std::string reason;
};

Json change_body(const ChangeOptions& wanted) {
  const int ways = (wanted.ids.empty() ? 0 : 1) + (wanted.selector.empty() ? 0 : 1) +
                   (wanted.everything ? 1 : 0);
  if (ways == 0) throw Failure(usage, "which messages? Give ids, a selector, or --everything");
  if (ways > 1) throw Failure(usage, "give only one of ids, selectors and --everything");
  Json body;
  for (const std::string& id : wanted.ids) body["ids"].push_back(require_id(id));
  for (const auto& [name, value] : wanted.selector) body["selector"][name] = value;
  if (wanted.everything) body["everything"] = true;
  body["dry_run"] = wanted.dry_run;
  if (!wanted.reason.empty()) body["reason"] = wanted.reason;
  return body;
}

void add_change(CLI::App& app, GlobalOptions& options, std::function<int()>& action,
                const ChangeVerb& kind) {
  CLI::App* verb = app.add_subcommand(kind.name, kind.help);
  auto wanted = std::make_shared<ChangeOptions>();
  verb->add_option("id", wanted->ids, "Queue ids")->type_name("ID");
  add_selectors(*verb, std::shared_ptr<Values>(wanted, &wanted->selector));
  verb->add_flag("--everything", wanted->everything, "All recipients in the queue");
  verb->add_flag("--dry-run", wanted->dry_run, "Only count what would change");
  verb->add_option("--reason", wanted->reason, "Why; goes to the history and the log")
      ->type_name("TEXT");
  verb->footer(kind.footer);
  on_verb(*verb, options, action, [wanted, &kind](const AdminClient& client, bool json) {
    const Json result = client.post(std::string("/v1/messages/") + kind.name, change_body(*wanted));
    json ? print_json(result) : print(change_text(result, wanted->dry_run));
    const bool nothing = result.value("matched", std::uint64_t{0}) == 0 && !wanted->everything;
    return static_cast<int>(nothing || result.contains("missing") ? no_match : done);
  });
}

}  // namespace

void add_admin_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  add_status(app, options, action);
  add_summary(app, options, action);
  add_list(app, options, action);
  add_content(app, options, action);
  for (const IdVerb& verb : id_verbs) add_id_verb(app, options, action, verb);
  for (const ChangeVerb& verb : change_verbs) add_change(app, options, action, verb);
}

}  // namespace mansio::cli
