#include "mansio/change_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "mansio/admin_verb.h"

namespace mansio::cli {
namespace {

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
  body["wait"] = false;
  if (!wanted.reason.empty()) body["reason"] = wanted.reason;
  return body;
}

/// One line on a terminal's standard error that is written over.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown) {}

  ~ProgressLine() {
    if (drawn_) std::fputs("\r\x1b[K", stderr);
  }

  void draw(const std::string& text) {
    if (!shown_) return;
    std::fprintf(stderr, "\r%s\x1b[K", text.c_str());
    drawn_ = true;
  }

 private:
  const bool shown_;
  bool drawn_ = false;
};

/// Watches the job to its end; the first signal cancels it, and the end is waited for all the same.
Json watch(const AdminClient& client, Json job, bool show_progress) {
  const std::string path = "/v1/jobs/" + job.at("job").dump();
  const Interrupts interrupts;
  ProgressLine line(show_progress);
  bool cancelled = false;
  Duration pause = std::chrono::milliseconds(5);
  while (job.value("state", "") == "running") {
    if (interrupts.seen() && !cancelled) {
      cancelled = true;
      job = client.erase(path);
    } else {
      interrupts.pause(pause);
      pause = std::min<Duration>(pause * 2, std::chrono::milliseconds(250));
      job = client.get(path);
    }
    line.draw(fmt::format("{}: matched {}, changed {}{}", job.value("verb", ""),
                          job.value("matched", std::uint64_t{0}),
                          job.value("changed", std::uint64_t{0}),
                          cancelled ? ", ends after this page" : " (Ctrl-C ends it)"));
  }
  return job;
}

/// The end as scripts get it: counts, and what else there is to know.
Json result_of(const Json& job) {
  Json result;
  for (const char* name : {"matched", "changed"}) result[name] = job.value(name, std::uint64_t{0});
  if (job.value("in_flight", std::uint64_t{0}) != 0) result["in_flight"] = job["in_flight"];
  if (job.contains("missing") && !job["missing"].empty()) result["missing"] = job["missing"];
  if (job.value("state", "") == "cancelled") result["cancelled"] = true;
  return result;
}

int change(const AdminClient& client, const ChangeOptions& wanted, const std::string& verb,
           bool json) {
  const Json begun = client.post("/v1/messages/" + verb, change_body(wanted));
  const Json job = watch(client, begun, !json && ::isatty(STDERR_FILENO) != 0);
  const Json result = result_of(job);
  if (job.value("state", "") == "failed") {
    throw Failure(refused,
                  fmt::format("stopped after {} of {} recipients: {}", result["changed"].dump(),
                              result["matched"].dump(), printable(job.value("error", ""))));
  }
  json ? print_json(result) : print(change_text(result, verb, wanted.dry_run));
  if (result.contains("cancelled")) return check_failed;
  const bool nothing = result["matched"] == 0 && !wanted.everything;
  return nothing || result.contains("missing") ? no_match : done;
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
  verb->footer(
      std::string("It ends with how many recipients matched and how many changed, and why "
                  "these differ.\nCtrl-C ends it early: what is done stays done; exit 4.\n") +
      kind.footer);
  on_verb(*verb, options, action, [wanted, &kind](const AdminClient& client, bool json) {
    return change(client, *wanted, kind.name, json);
  });
}

}  // namespace

void add_change_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  for (const ChangeVerb& verb : change_verbs) add_change(app, options, action, verb);
}

}  // namespace mansio::cli
