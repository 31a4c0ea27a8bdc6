#include "mansio/admin_commands.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "base/text.h"
#include "mansio/admin_verb.h"
#include "mansio/change_commands.h"
#include "mansio/control_commands.h"
#include "mansio/lane_commands.h"
#include "mansio/look_commands.h"
#include "mansio/top_command.h"

namespace mansio::cli {
namespace {

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

}  // namespace

void add_admin_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  add_status(app, options, action);
  add_summary(app, options, action);
  add_list(app, options, action);
  add_content(app, options, action);
  for (const IdVerb& verb : id_verbs) add_id_verb(app, options, action, verb);
  add_change_commands(app, options, action);
  add_lane_commands(app, options, action);
  add_top_command(app, options, action);
  add_look_commands(app, options, action);
  add_control_commands(app, options, action);
}

}  // namespace mansio::cli
