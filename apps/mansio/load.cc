#include "mansio/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/octets.h"
#include "mansio/load_engine.h"
#include "mansio/options.h"

namespace mansio::cli {

namespace {

/// As given on the command line.
struct Arguments {
  std::string to;
  std::string size = "4KiB";
  std::string domains = "load.example";
  std::string rate;
  std::string from = "sender@load.example";
  std::string pipeline = "full";
  std::string record;
  std::string ehlo = "load.invalid";
  std::uint32_t sessions = 10;
  std::uint64_t messages = 1000;
  std::uint64_t messages_per_session = 0;
  std::uint32_t recipients = 1;
  std::uint32_t threads = 1;
  std::uint64_t seed = 1;
  double connect_timeout = 10;
  bool lmtp = false;
};

load::LoadOptions engine_options(const Arguments& arguments) {
  load::LoadOptions options;
  const auto to = Endpoint::parse(arguments.to);
  if (!to || to->is_unix())
    throw std::invalid_argument("--to: \"" + arguments.to + "\" is not HOST:PORT");
  options.to = *to;
  options.sessions = arguments.sessions;
  options.messages = arguments.messages;
  options.messages_per_session = arguments.messages_per_session;
  options.threads = std::min(arguments.threads, arguments.sessions);
  options.from = arguments.from;
  options.ehlo = arguments.ehlo;
  options.lmtp = arguments.lmtp;
  if (arguments.pipeline == "none") options.pipeline = load::Pipeline::none;
  if (arguments.pipeline == "commands") options.pipeline = load::Pipeline::commands;
  options.connect_timeout =
      std::chrono::milliseconds(std::llround(arguments.connect_timeout * 1000));
  if (!arguments.rate.empty()) {
    const auto rate = parse_rate(arguments.rate);
    if (!rate)
      throw std::invalid_argument("--rate: \"" + arguments.rate + "\" is not a rate such as 100/s");
    options.rate = rate->count / std::chrono::duration<double>(rate->period).count();
  }
  return options;
}

load::MessageMaker::Options maker_options(const Arguments& arguments) {
  load::MessageMaker::Options options;
  const auto size = parse_octets(arguments.size);
  if (!size)
    throw std::invalid_argument("--size: \"" + arguments.size + "\" is not a size such as 4KiB");
  options.size = *size;
  options.seed = arguments.seed;
  options.recipients = arguments.recipients;
  options.from = arguments.from;
  options.domains = load::parse_domains(arguments.domains);
  return options;
}

double milliseconds_at(const std::vector<std::uint32_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::llround(share * last))] / 1000.0;
}

void print(const load::LoadTotals& totals, std::uint64_t messages, bool json) {
  const double rate =
      totals.seconds > 0 ? static_cast<double>(totals.accepted) / totals.seconds : 0;
  const double p50 = milliseconds_at(totals.latencies, 0.5);
  const double p99 = milliseconds_at(totals.latencies, 0.99);
  const double most = milliseconds_at(totals.latencies, 1);
  if (json) {
    fmt::print(
        R"({{"messages":{},"accepted":{},"refused":{},"unanswered":{},"unsent":{},"recipients_accepted":{},)"
        R"("recipients_refused":{},"connections":{},"started":{:.6f},"seconds":{:.6f},"rate":{:.1f},"cpu_seconds":{:.6f},)"
        R"("latency_ms":{{"p50":{:.3f},"p99":{:.3f},"max":{:.3f}}},"last_refusal":{}}})"
        "\n",
        messages, totals.accepted, totals.refused, totals.unanswered, totals.unsent,
        totals.recipients_accepted, totals.recipients_refused, totals.connections, totals.started,
        totals.seconds, rate, totals.processor_seconds, p50, p99, most,
        load::json_string(totals.last_refusal));
    return;
  }
  fmt::print(
      "messages     {}\naccepted     {}\nrefused      {}\nunanswered   {}\nunsent       {}\n",
      messages, totals.accepted, totals.refused, totals.unanswered, totals.unsent);
  fmt::print("recipients   {} accepted, {} refused\nconnections  {}\n", totals.recipients_accepted,
             totals.recipients_refused, totals.connections);
  fmt::print("time         {:.3f} s, {:.0f} messages/s\n", totals.seconds, rate);
  fmt::print(
      "processor    {:.3f} s, {:.1f} us per message\n", totals.processor_seconds,
      totals.processor_seconds * 1e6 / static_cast<double>(std::max<std::uint64_t>(messages, 1)));
  fmt::print("latency      p50 {:.3f} ms, p99 {:.3f} ms, max {:.3f} ms\n", p50, p99, most);
  if (!totals.last_refusal.empty()) fmt::print("last refusal {}\n", totals.last_refusal);
}

int run(const Arguments& arguments, bool json) {
  try {
    const load::LoadOptions options = engine_options(arguments);
    const load::MessageMaker maker(maker_options(arguments));
    const auto record = arguments.record.empty()
                            ? std::make_unique<load::RecordFile>()
                            : std::make_unique<load::RecordFile>(arguments.record);
    const load::LoadTotals totals = load::run_load(options, maker, *record);
    print(totals, options.messages, json);
    if (!record->good()) {
      fmt::print(stderr, "mansio load: the record could not be written in full\n");
      return check_failed;
    }
    if (totals.connections == 0) return unreachable;
    if (totals.unanswered != 0 || totals.unsent != 0) return check_failed;
    return totals.refused != 0 || totals.recipients_refused != 0 ? refused : done;
  } catch (const std::invalid_argument& error) {
    fmt::print(stderr, "mansio load: {}\n", error.what());
    return usage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "mansio load: {}\n", error.what());
    return unreachable;
  }
}

}  // namespace

void add_load_command(CLI::App& app, std::function<int()>& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("load", "Send generated messages and measure how they are taken");
  verb->footer(
      "Exit: 0 all accepted; 5 something was refused; 4 something was not answered or not sent; "
      "3 no connection; 2 usage.");
  verb->add_option("--to", arguments->to, "Server to send to, HOST:PORT")->required();
  verb->add_option("--sessions", arguments->sessions, "Connections at the same time")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  verb->add_option("--messages", arguments->messages, "Messages in all")->capture_default_str();
  verb->add_option("--messages-per-session", arguments->messages_per_session,
                   "Messages before a connection is replaced; 0: no limit")
      ->capture_default_str();
  verb->add_option("--size", arguments->size, "Octets per message, header included")
      ->capture_default_str();
  verb->add_option("--recipients", arguments->recipients, "Recipients per message")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_option(
          "--domains", arguments->domains,
          "Domains of the recipients with weights: a.example=3,b.example=1; the members of "
          "d{1..1000}.example take turns")
      ->capture_default_str();
  verb->add_option("--rate", arguments->rate,
                   "Messages per time in all, such as 100/s; without it flat out");
  verb->add_option("--from", arguments->from, "Reverse-path; empty for the null one")
      ->capture_default_str();
  verb->add_option("--ehlo", arguments->ehlo, "Name to greet with")->capture_default_str();
  verb->add_flag("--lmtp", arguments->lmtp, "Speak LMTP");
  verb->add_option("--pipeline", arguments->pipeline,
                   "none: one command at a time; commands: MAIL to DATA together; full: also with "
                   "the final dot of "
                   "the message before")
      ->check(CLI::IsMember({"none", "commands", "full"}))
      ->capture_default_str();
  verb->add_option("--threads", arguments->threads, "Threads that share the sessions")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--seed", arguments->seed, "Equal seeds give equal messages")
      ->capture_default_str();
  verb->add_option("--connect-timeout", arguments->connect_timeout,
                   "Seconds without a connection after which a session gives up")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--record", arguments->record,
                   "File of JSON lines with what was acknowledged, for `mansio sink --check`; - is "
                   "standard output");
  verb->callback([arguments, verb, &action] {
    const CLI::App* root = verb->get_parent();
    action = [arguments, root] {
      const CLI::Option* json = root->get_option_no_throw("--json");
      return run(*arguments, json != nullptr && json->count() > 0);
    };
  });
}

}  // namespace mansio::cli
