#include "mansio/look_commands.h"

#include <unistd.h>

#include <cstdio>

#include "mansio/admin_verb.h"
#include "mansio/format_lanes.h"

namespace mansio::cli {
namespace {

struct LookOptions {
  std::string destination;
  std::string sender;
  std::string timeout = "10m";
};

int probe(const AdminClient& client, const LookOptions& wanted, bool json) {
  Json body;
  body["destination"] = wanted.destination;
  if (!wanted.sender.empty()) body["sender"] = wanted.sender;
  const Json report = client.post("/v1/probe", body);
  json ? print_json(report) : print(probe_text(report));
  for (const Json& address : report.at("addresses")) {
    if (address.value("ok", false)) return done;
  }
  return check_failed;
}

void add_probe(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "probe", "Route, hosts and TLS of a destination, and what each host says, without mail");
  const auto wanted = std::make_shared<LookOptions>();
  verb->add_option("destination", wanted->destination, "Domain or address literal")
      ->required()
      ->type_name("DESTINATION");
  verb->add_option("--sender", wanted->sender, "Reverse-path, where routes depend on it")
      ->type_name("ADDRESS");
  verb->footer("Exit 4 when no address is ready for mail.\nExample: mansio probe example.com");
  on_verb(*verb, options, action,
          [wanted](const AdminClient& client, bool json) { return probe(client, *wanted, json); });
}

/// Says what there is to wait for, so that nobody waits in vain unknowingly.
void say_waiting(const AdminClient& client, const std::string& destination) {
  Values values;
  values["destination"] = destination;
  std::uint64_t queued = 0;
  const Json answer = client.get("/v1/lanes" + query_of(values));
  for (const Json& lane : answer.at("lanes")) {
    queued += lane.value("queued", std::uint64_t{0});
  }
  std::fprintf(stderr, "mansio: waiting for the next session to %s; %s (Ctrl-C ends it)\n",
               printable(destination).c_str(),
               queued == 0 ? "no mail is queued for it"
                           : (std::to_string(queued) + " recipients are queued").c_str());
}

/// Prints the lines as they come. True: the session is over; false: a signal or the time ended it.
bool follow(const AdminClient& client, const std::string& path, const Interrupts& interrupts,
            Duration timeout, bool json) {
  constexpr Duration pause = std::chrono::milliseconds(200);
  std::uint64_t printed = 0;
  Duration waited{};
  while (!interrupts.seen() && waited < timeout) {
    const Json trace = client.get(path + "?from=" + std::to_string(printed));
    for (const Json& line : trace.at("lines")) {
      json ? print_json(line) : print(trace_line_text(line));
      ++printed;
    }
    std::fflush(stdout);
    const std::string state = trace.value("state", "");
    if (state == "over") {
      if (trace.value("cut", false))
        std::fputs("mansio: the session said more than that\n", stderr);
      return true;
    }
    interrupts.pause(pause);
    if (state == "waiting") waited += pause;
  }
  return false;
}

int trace(const AdminClient& client, const LookOptions& wanted, bool json) {
  const Duration timeout = require_duration("--timeout", wanted.timeout);
  Json body;
  body["destination"] = wanted.destination;
  const Json asked = client.post("/v1/traces", body);
  const std::string path = "/v1/traces/" + asked.at("trace").dump();
  const Interrupts interrupts;
  say_waiting(client, wanted.destination);
  const bool over = follow(client, path, interrupts, timeout, json);
  client.erase(path);
  if (over || interrupts.seen()) return done;
  throw Failure(check_failed,
                "no session to " + printable(wanted.destination) + " in " + to_text(timeout));
}

void add_trace(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb =
      app.add_subcommand("trace", "The dialogue of the next session to a destination, as it goes");
  const auto wanted = std::make_shared<LookOptions>();
  verb->add_option("destination", wanted->destination, "Domain")
      ->required()
      ->type_name("DESTINATION");
  verb->add_option("--timeout", wanted->timeout, "How long to wait for a session; then exit 4")
      ->type_name("DURATION")
      ->capture_default_str();
  verb->footer(
      "\"> \" is what we say, \"< \" what they say, \"* \" what happens. Passwords and content "
      "stand\n"
      "there as their size only. Ctrl-C ends it.\n"
      "Example: mansio trace example.com & mansio retry --destination example.com");
  on_verb(*verb, options, action,
          [wanted](const AdminClient& client, bool json) { return trace(client, *wanted, json); });
}

}  // namespace

void add_look_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  add_probe(app, options, action);
  add_trace(app, options, action);
}

}  // namespace mansio::cli
