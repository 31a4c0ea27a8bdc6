#include "mansio/sink.h"

#include <fmt/format.h>

#include <memory>

#include "base/text.h"
#include "mansio/options.h"
#include "mansio/sink_engine.h"

namespace mansio::cli {

namespace {

struct Arguments {
  std::string listen = "127.0.0.1:2626";
  std::string hostname = "sink.invalid";
  std::string extensions = "PIPELINING,8BITMIME,SMTPUTF8,ENHANCEDSTATUSCODES";
  std::vector<std::string> rules;
  std::string record;
  std::string check;
  std::uint64_t messages = 0;
  std::uint64_t seed = 1;
  std::uint64_t twice_max = 0;
  std::uint32_t threads = 1;
  bool twice_given = false;
  bool lmtp = false;
};

sink::SinkOptions engine_options(const Arguments& arguments) {
  sink::SinkOptions options;
  const auto listen = Endpoint::parse(arguments.listen);
  if (!listen || listen->is_unix()) {
    throw std::invalid_argument("--listen: \"" + arguments.listen + "\" is not ADDRESS:PORT");
  }
  options.listen = *listen;
  options.lmtp = arguments.lmtp;
  options.threads = arguments.threads;
  options.messages = arguments.messages;
  options.hostname = arguments.hostname;
  options.seed = arguments.seed;
  for (const std::string_view extension : split(arguments.extensions, ',')) {
    if (!trim(extension).empty()) options.extensions.emplace_back(trim(extension));
  }
  for (const std::string& rule : arguments.rules) options.rules.push_back(sink::parse_rule(rule));
  return options;
}

std::string json_of(const sink::CheckResult& check) {
  return fmt::format(
      R"({{"acknowledged":{},"arrived":{},"refused":{},"missing":{},"twice":{},"damaged":{},"unknown":{},)"
      R"("unreadable":{},"examples":{}}})",
      check.acknowledged, check.arrived, check.refused, check.missing, check.twice, check.damaged,
      check.unknown, check.unreadable, load::json_strings(check.examples));
}

void print(const sink::Arrivals& arrivals, const sink::SinkTotals& totals,
           const sink::CheckResult* check, bool json) {
  const double rate =
      totals.seconds > 0 ? static_cast<double>(arrivals.messages()) / totals.seconds : 0;
  if (json) {
    fmt::print(
        R"({{"messages":{},"recipients":{},"bytes":{},"repeated":{},"refused":{},"cut":{},"connections":{},)"
        R"("seconds":{:.6f},"fresh_arrival":{:.6f},"last_arrival":{:.6f},"rate":{:.1f},"cpu_seconds":{:.6f}{}{}}})"
        "\n",
        arrivals.messages(), arrivals.recipients(), arrivals.octets(), arrivals.repeated(),
        totals.refused, totals.cut, totals.connections, totals.seconds, totals.fresh_arrival,
        totals.last_arrival, rate, totals.processor_seconds, check != nullptr ? ",\"check\":" : "",
        check != nullptr ? json_of(*check) : "");
    return;
  }
  fmt::print("messages     {} for {} recipients, {} octets\n", arrivals.messages(),
             arrivals.recipients(), arrivals.octets());
  fmt::print("refused      {} by rule, {} cut off after the final dot\n", totals.refused,
             totals.cut);
  fmt::print("connections  {}\ntime         {:.3f} s, {:.0f} messages/s\nprocessor    {:.3f} s\n",
             totals.connections, totals.seconds, rate, totals.processor_seconds);
  if (check == nullptr) return;
  fmt::print(
      "check        {} acknowledged, {} arrived, {} refused, {} missing, {} twice, {} damaged, {} "
      "unknown\n",
      check->acknowledged, check->arrived, check->refused, check->missing, check->twice,
      check->damaged, check->unknown);
  for (const std::string& example : check->examples) fmt::print("             {}\n", example);
}

bool passes(const sink::CheckResult& check, const Arguments& arguments) {
  if (check.missing != 0 || check.damaged != 0 || check.unreadable != 0) return false;
  return !arguments.twice_given || check.twice <= arguments.twice_max;
}

int run(const Arguments& arguments, bool json) {
  try {
    const sink::SinkOptions options = engine_options(arguments);
    const auto record = arguments.record.empty()
                            ? std::make_unique<load::RecordFile>()
                            : std::make_unique<load::RecordFile>(arguments.record);
    sink::Arrivals arrivals(*record, record->active() || !arguments.check.empty());
    const auto listening = [json](const Endpoint& bound) {
      const std::string where = bound.to_string();
      fmt::print("{}\n", json ? "{\"listening\":" + load::json_string(where) + '}'
                              : "listening on " + where);
      std::fflush(stdout);
    };
    const auto asked = [&arrivals, json](const sink::SinkTotals& so_far) {
      print(arrivals, so_far, nullptr, json);
      std::fflush(stdout);
    };
    const sink::SinkTotals totals = sink::run_sink(options, arrivals, listening, asked);
    record->flush();
    std::unique_ptr<sink::CheckResult> check;
    if (!arguments.check.empty())
      check = std::make_unique<sink::CheckResult>(arrivals.check(arguments.check));
    print(arrivals, totals, check.get(), json);
    if (!record->good()) {
      fmt::print(stderr, "mansio sink: the record could not be written in full\n");
      return check_failed;
    }
    return check == nullptr || passes(*check, arguments) ? done : check_failed;
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "mansio sink: {}\n", error.what());
  } catch (const std::exception& error) {
    fmt::print(stderr, "mansio sink: {}\n", error.what());
  }
  return usage;
}

}  // namespace

void add_sink_command(CLI::App& app, std::function<int()>& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("sink", "Take mail over SMTP or LMTP, answer by rule, keep nothing");
  verb->footer(
      "A rule is \"phase=PHASE key=value ... text=REST\". Phases: connect, ehlo, mail, rcpt, data, "
      "dot,\n"
      "close-after-dot. Keys: code (400-599), share (0-1), recipient and sender (patterns with * "
      "and ?),\n"
      "times (only the first N for each recipient), delay (2s), text (rest of the rule). The first "
      "rule\n"
      "that matches decides; what no rule matches is accepted.\n"
      "It ends with SIGTERM, SIGINT or after --messages, and prints a summary; SIGUSR1 prints\n"
      "what there is so far.\n"
      "Exit: 0; 4 the check failed; 2 usage, or the address is not free.");
  verb->add_option("--listen", arguments->listen,
                   "ADDRESS:PORT; port 0 takes a free one and prints it")
      ->capture_default_str();
  verb->add_flag("--lmtp", arguments->lmtp, "Speak LMTP");
  verb->add_option("--rule", arguments->rules, "How to answer (repeatable)")
      ->expected(1)
      ->take_all();
  verb->add_option("--record", arguments->record,
                   "File of JSON lines, one per arrival; - is standard output");
  verb->add_option(
      "--check", arguments->check,
      "At the end, compare with this record of `mansio load`: everything acknowledged has arrived, "
      "unchanged, or was refused for good by a rule");
  CLI::Option* twice = verb->add_option(
      "--twice-max", arguments->twice_max,
      "With --check: fail if more recipients arrived again; without it any number");
  verb->add_option("--messages", arguments->messages, "End after so many messages; 0: never")
      ->capture_default_str();
  verb->add_option("--hostname", arguments->hostname, "Name to greet with")->capture_default_str();
  verb->add_option("--extensions", arguments->extensions,
                   "Extensions to offer, separated by commas")
      ->capture_default_str();
  verb->add_option("--threads", arguments->threads, "Threads that share the connections")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--seed", arguments->seed, "Of the random choice that `share` makes")
      ->capture_default_str();
  verb->callback([arguments, twice, verb, &action] {
    arguments->twice_given = twice->count() > 0;
    const CLI::App* root = verb->get_parent();
    action = [arguments, root] {
      const CLI::Option* json = root->get_option_no_throw("--json");
      return run(*arguments, json != nullptr && json->count() > 0);
    };
  });
}

}  // namespace mansio::cli
