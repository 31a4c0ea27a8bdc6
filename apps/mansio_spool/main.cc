// mansio-spool: what `mansio spool` does. Its command line is that of mansio.

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/octets.h"
#include "base/text.h"
#include "mansio/command_line.h"
#include "settings/load.h"
#include "spool/file/file_spool.h"

namespace mansio::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Wrong usage: exit 2 with this text.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

spool::FileSpoolOptions options_of(const SpoolPlace& place) {
  spool::FileSpoolOptions options;
  options.must_exist = true;  // looking after a spool never makes one
  if (place.config.empty()) {
    if (place.path.empty()) throw UsageError("which spool? Give its folder, or --config FILE");
    options.path = place.path.starts_with("file:") ? place.path.substr(5) : place.path;
    if (!std::filesystem::is_directory(options.path)) {
      throw UsageError("there is no spool at " + options.path.string());
    }
    return options;
  }
  const settings::Settings settings = settings::load(place.config);
  if (!settings.spool.url.starts_with("file:")) {
    throw UsageError("the spool of " + place.config + " is " + settings.spool.url +
                     ": there is nothing on disk to look at");
  }
  options.path = settings.spool.url.substr(5);
  options.reserve = settings.spool.reserve;
  options.reserve_share = settings.spool.reserve_share;
  options.history_keep = settings.history_keep;
  return options;
}

/// Octets of the files below `path`.
std::uint64_t octets_on_disk(const std::filesystem::path& path) {
  std::uint64_t sum = 0;
  std::error_code error;
  using Walk = std::filesystem::recursive_directory_iterator;
  for (Walk at(path, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;  // a file that went away counts nothing
    if (at->is_regular_file(ignored)) sum += at->file_size(ignored);
  }
  return sum;
}

Json numbers(const spool::CheckReport& report, const std::filesystem::path& path) {
  return {{"path", path.string()},
          {"octets", octets_on_disk(path)},
          {"segments", report.segments},
          {"records", report.records},
          {"messages", report.messages},
          {"recipients", report.recipients},
          {"due_entries", report.due_entries},
          {"contents", report.contents}};
}

void print_json(const Json& json) {
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

void print_numbers(const Json& numbers) {
  for (const auto& [name, value] : numbers.items()) {
    const std::string text = value.is_string()  ? value.get<std::string>()
                             : name == "octets" ? fmt::format("{} bytes", value.dump())
                                                : value.dump();
    std::printf("%-12s %s\n", name.c_str(), text.c_str());
  }
}

int check(const SpoolPlace& place, bool json) {
  spool::FileSpoolOptions options = options_of(place);
  const std::filesystem::path path = options.path;
  const auto clock = make_system_clock();
  spool::CheckReport report = spool::check_file_spool(options, {}, *clock);
  if (place.rebuild && report.sound()) {
    // The index knows more than the journal still holds: to rebuild a sound one only loses.
    report.notes.emplace_back("the index is sound, so it was not rebuilt");
  } else if (place.rebuild) {
    report = spool::check_file_spool(std::move(options), {.rebuild = true}, *clock);
  }
  Json object = numbers(report, path);
  if (json) {
    object["sound"] = report.sound();
    object["rebuilt"] = report.rebuilt;
    object["problems"] = report.problems;
    object["notes"] = report.notes;
    print_json(object);
  } else {
    print_numbers(object);
    for (const std::string& note : report.notes) std::printf("note: %s\n", escape(note).c_str());
    for (const std::string& problem : report.problems) {
      std::printf("problem: %s\n", escape(problem).c_str());
    }
    std::printf("%s\n", report.sound() ? "sound" : "NOT SOUND");
  }
  return report.sound() ? done : check_failed;
}

int stats(const SpoolPlace& place, bool json) {
  spool::FileSpoolOptions options = options_of(place);
  const std::filesystem::path path = options.path;
  const auto clock = make_system_clock();
  const spool::CheckReport report = spool::check_file_spool(std::move(options), {}, *clock);
  const Json object = numbers(report, path);
  json ? print_json(object) : print_numbers(object);
  return done;
}

/// Runs a verb and turns what cannot be opened into an exit code.
int exit_code_of(int (*verb)(const SpoolPlace&, bool), const SpoolPlace& place, bool json) {
  try {
    return verb(place, json);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "mansio: %s\n", error.what());
    return usage;
  } catch (const settings::ConfigError& error) {
    std::fprintf(stderr, "mansio: %s\n", error.what());
    return usage;
  } catch (const spool::OpenError& error) {
    std::fprintf(stderr, "mansio: %s\n", error.what());
    constexpr int held_by_a_daemon = 73;
    return error.exit_status() == held_by_a_daemon ? refused : check_failed;
  }
}

SpoolVerbs::Work guarded(int (*verb)(const SpoolPlace&, bool)) {
  return [verb](const SpoolPlace& place, bool json) { return exit_code_of(verb, place, json); };
}

}  // namespace
}  // namespace mansio::cli

int main(int argc, char** argv) {
  using namespace mansio::cli;
  return run(argc, argv, {guarded(check), guarded(stats)});
}
