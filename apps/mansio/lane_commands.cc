#include "mansio/lane_commands.h"

#include "mansio/admin_verb.h"
#include "mansio/format_lanes.h"

namespace mansio::cli {
namespace {

struct LaneOptions {
  std::string destination;
  std::string binding;
  std::string length;  ///< of a suspension
  std::string reason;
  std::uint64_t limit = 0;
  bool suspended = false;
};

void add_destination(CLI::App& verb, LaneOptions& wanted, const char* help) {
  verb.add_option("destination", wanted.destination, help)->required()->type_name("DESTINATION");
}

void add_binding(CLI::App& verb, LaneOptions& wanted, const char* help) {
  verb.add_option("--binding", wanted.binding, help)->type_name("NAME");
}

void add_suspend(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "suspend", "Starts no new attempt for a destination until it is resumed or the time is over");
  const auto wanted = std::make_shared<LaneOptions>();
  add_destination(*verb, *wanted, "Domain, \"*.suffix\" or \"*\"");
  add_binding(*verb, *wanted, "Only its lanes of this binding");
  verb->add_option("--for", wanted->length, "How long: 30m, 2h, 3d; else until it is resumed")
      ->type_name("DURATION");
  verb->add_option("--reason", wanted->reason, "Why; shown by lanes and why")->type_name("TEXT");
  verb->footer(
      "Transactions under way end as they would. It holds across restarts; saying it again "
      "replaces\n"
      "it. Mail goes on being accepted, and its lifetime goes on.\n"
      "Example: mansio suspend example.com --for 2h --reason \"they asked for a pause\"");
  on_verb(*verb, options, action, [wanted](const AdminClient& client, bool json) {
    Json body;
    body["destination"] = wanted->destination;
    if (!wanted->binding.empty()) body["binding"] = wanted->binding;
    if (!wanted->length.empty()) body["for"] = wanted->length;
    if (!wanted->reason.empty()) body["reason"] = wanted->reason;
    const Json suspension = client.post("/v1/suspensions", body);
    json ? print_json(suspension) : print(suspension_text(suspension));
    return static_cast<int>(done);
  });
}

void add_resume(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb =
      app.add_subcommand("resume", "Ends a suspension; exit 1 if there is none to end");
  const auto wanted = std::make_shared<LaneOptions>();
  add_destination(*verb, *wanted, "As it was suspended");
  add_binding(*verb, *wanted, "As it was suspended");
  verb->footer("Example: mansio resume example.com");
  on_verb(*verb, options, action, [wanted](const AdminClient& client, bool json) {
    Values values;
    values["destination"] = wanted->destination;
    if (!wanted->binding.empty()) values["binding"] = wanted->binding;
    const Json ended = client.erase("/v1/suspensions" + query_of(values));
    json ? print_json(ended) : print("resumed; was " + suspension_text(ended));
    return static_cast<int>(done);
  });
}

int print_lanes(const AdminClient& client, const LaneOptions& wanted, bool json) {
  Values values;
  if (wanted.suspended) values["suspended"] = "true";
  if (wanted.limit != 0) values["limit"] = std::to_string(wanted.limit);
  const Json answer = client.get("/v1/lanes" + query_of(values));
  if (json) {
    print_lines(answer.at("lanes"));
    return done;
  }
  print(lanes_text(answer));
  // A suspension stands for itself: it may stop destinations that have no mail yet.
  if (wanted.suspended) print(suspensions_text(client.get("/v1/suspensions")));
  return done;
}

void add_lanes(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand(
      "lanes", "The lanes (destination and binding) with mail, the fullest first");
  const auto wanted = std::make_shared<LaneOptions>();
  verb->add_flag("--suspended", wanted->suspended,
                 "Only lanes that an operator stopped, and all suspensions");
  verb->add_option("--limit", wanted->limit, "At most N lanes; 0, the default: all")
      ->type_name("N");
  verb->footer(
      "States: busy (has sessions), waiting (for its turn or the next due time), resting (no host\n"
      "could be used), suspended.\nExample: mansio lanes --limit 20");
  on_verb(*verb, options, action, [wanted](const AdminClient& client, bool json) {
    return print_lanes(client, *wanted, json);
  });
}

void add_lane(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb =
      app.add_subcommand("lane", "One destination's lanes in detail; exit 1 if it has no mail");
  const auto wanted = std::make_shared<LaneOptions>();
  add_destination(*verb, *wanted, "Domain");
  add_binding(*verb, *wanted, "Only the lane of this binding");
  verb->footer("Example: mansio lane example.com");
  on_verb(*verb, options, action, [wanted](const AdminClient& client, bool json) {
    Values values;
    values["destination"] = wanted->destination;
    if (!wanted->binding.empty()) values["binding"] = wanted->binding;
    const Json answer = client.get("/v1/lanes" + query_of(values));
    const Json& lanes = answer.at("lanes");
    if (lanes.empty()) {
      throw Failure(
          no_match,
          "no mail is queued for " + printable(wanted->destination) +
              (wanted->binding.empty() ? "" : " with binding " + printable(wanted->binding)));
    }
    for (const Json& lane : lanes) json ? print_json(lane) : print(lane_text(lane));
    return static_cast<int>(done);
  });
}

void add_shape(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  CLI::App* verb = app.add_subcommand("shape", "How many recipients wait, by destination and age");
  const auto values = std::make_shared<Values>();
  const auto by = std::make_shared<std::string>("age");
  const auto limit = std::make_shared<std::uint64_t>(20);
  const auto ages = std::make_shared<std::string>();
  add_selectors(*verb, values);
  verb->add_option("--by", *by, "What the columns are: age, since acceptance")
      ->check(CLI::IsMember({"age"}))
      ->type_name("age");
  verb->add_option("--ages", *ages, "Upper bounds of the columns, such as 1h,1d,3d")
      ->type_name("LIST");
  verb->add_option("--limit", *limit, "At most N destinations by name; the totals count all")
      ->type_name("N")
      ->capture_default_str();
  verb->footer("Example: mansio shape --state deferred");
  on_verb(*verb, options, action, [values, limit, ages](const AdminClient& client, bool json) {
    Values query = *values;
    query["limit"] = std::to_string(*limit);
    if (!ages->empty()) query["ages"] = *ages;
    const Json shape = client.get("/v1/shape" + query_of(query));
    json ? print_json(shape) : print(shape_text(shape));
    return static_cast<int>(done);
  });
}

}  // namespace

void add_lane_commands(CLI::App& app, GlobalOptions& options, std::function<int()>& action) {
  add_lanes(app, options, action);
  add_lane(app, options, action);
  add_suspend(app, options, action);
  add_resume(app, options, action);
  add_shape(app, options, action);
}

}  // namespace mansio::cli
