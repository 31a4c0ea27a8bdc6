#include "mansio/admin_verb.h"

#include <poll.h>

#include <atomic>
#include <csignal>
#include <cstdio>

#include "base/id.h"

namespace mansio::cli {
namespace {

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

constexpr int noticed_signals[] = {SIGINT, SIGTERM, SIGHUP};
std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set from a signal handler");

extern "C" void notice_signal(int) { interrupted = true; }

}  // namespace

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

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const Json& json) {
  print(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void print_lines(const Json& list) {
  for (const Json& element : list) print_json(element);
}

std::string require_id(const std::string& text) {
  const auto id = QueueId::parse(text);
  if (!id) throw Failure(usage, "not a queue id (26 characters): " + printable(text));
  return id->to_string();
}

Duration require_duration(const std::string& option, const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration || *duration <= Duration::zero()) {
    throw Failure(
        usage, option + ": expected a duration such as 30s, 15m or 2h, found " + printable(text));
  }
  return *duration;
}

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

Interrupts::Interrupts() {
  interrupted = false;

  struct sigaction noticed {};

  noticed.sa_handler = notice_signal;
  noticed.sa_flags = SA_RESTART;  // a request that is under way goes on; pause() ends all the same
  for (const int signal : noticed_signals) ::sigaction(signal, &noticed, nullptr);
}

Interrupts::~Interrupts() {
  for (const int signal : noticed_signals) std::signal(signal, SIG_DFL);
}

bool Interrupts::seen() const { return interrupted; }

void Interrupts::pause(Duration duration) const {
  if (interrupted) return;
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(duration);
  ::poll(nullptr, 0, static_cast<int>(milliseconds.count()));
}

}  // namespace mansio::cli
