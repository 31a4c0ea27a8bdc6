#include "mansio/format_lanes.h"

#include <fmt/format.h>

#include "mansio/json_text.h"

namespace mansio::cli {
namespace {

std::string with_binding(const Json& object) {
  const std::string binding = text_of(object, "binding");
  return text_of(object, "destination") + (binding.empty() ? "" : " (binding " + binding + ")");
}

/// "until 12:00 by operator: reason", of a suspension.
std::string stop_text(const Json& suspension) {
  const std::string until = time_of(suspension, "until");
  const std::string actor = text_of(suspension, "actor");
  const std::string reason = text_of(suspension, "reason");
  std::string text = until.empty() ? "until it is resumed" : "until " + until;
  if (!actor.empty()) text += " by " + actor;
  if (!reason.empty()) text += ": " + reason;
  return text;
}

/// What stops a lane, if anything does.
std::string stopped_by(const Json& lane) {
  if (lane.contains("suspension") && lane["suspension"].is_object()) {
    return stop_text(lane["suspension"]);
  }
  const std::string until = time_of(lane, "delayed_until");
  const std::string trouble = text_of(lane, "trouble");
  if (until.empty()) return trouble;
  return "until " + until + (trouble.empty() ? "" : ": " + trouble);
}

/// Numbers stand right, under their heads.
void align_right(Rows& rows, std::size_t first, std::size_t last) {
  for (std::size_t column = first; column <= last; ++column) {
    std::size_t width = 0;
    for (const auto& row : rows) {
      if (column < row.size()) width = std::max(width, row[column].size());
    }
    for (auto& row : rows) {
      if (column < row.size()) row[column].insert(0, width - row[column].size(), ' ');
    }
  }
}

std::vector<std::string> shape_row(const Json& row, const std::string& name) {
  std::vector<std::string> cells = {name, text_of(row, "total")};
  for (const Json& count : list_of(row, "by_age")) cells.push_back(count.dump());
  return cells;
}

std::string address_text(const Json& address) {
  const bool ok = flag_of(address, "ok");
  std::string text = fmt::format("{} {}", text_of(address, "host"), text_of(address, "address"));
  const std::string preference = text_of(address, "preference");
  if (!preference.empty()) text += ", preference " + preference;
  text +=
      fmt::format(": {} ({:.2f} s)\n", ok ? "ready" : "NOT READY", address.value("seconds", 0.0));
  const auto detail = [&text](const char* name, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<12}{}\n", name, value);
  };
  detail("trouble", text_of(address, "trouble"));
  detail("greeting", text_of(address, "greeting"));
  const std::string tls = text_of(address, "tls");
  detail("TLS", tls.empty()
                    ? ""
                    : tls + (flag_of(address, "tls_verified") ? ", verified" : ", not verified"));
  detail("no TLS", text_of(address, "tls_trouble"));
  std::string extensions;
  for (const Json& extension : list_of(address, "extensions")) {
    if (!extension.is_string()) continue;
    extensions += (extensions.empty() ? "" : ", ") + printable(extension.get<std::string>());
  }
  detail("extensions", extensions);
  return text;
}

}  // namespace

std::string suspension_text(const Json& suspension) {
  const std::string since = time_of(suspension, "since");
  return "suspended " + with_binding(suspension) + (since.empty() ? "" : " since " + since) + ", " +
         stop_text(suspension) + "\n";
}

std::string suspensions_text(const Json& answer) {
  std::string text;
  for (const Json& one : list_of(answer, "suspensions")) text += suspension_text(one);
  return text.empty() ? "nothing is suspended\n" : text;
}

std::string lanes_text(const Json& answer) {
  Rows rows = {{"destination", "binding", "queued", "due", "in flight", "held", "sessions",
                "oldest", "state", ""}};
  for (const Json& lane : list_of(answer, "lanes")) {
    rows.push_back({text_of(lane, "destination"), text_of(lane, "binding"), text_of(lane, "queued"),
                    text_of(lane, "due"), text_of(lane, "in_flight"), text_of(lane, "held"),
                    text_of(lane, "sessions"), time_of(lane, "oldest"), text_of(lane, "state"),
                    stopped_by(lane)});
  }
  if (rows.size() == 1) return "";
  align_right(rows, 2, 6);
  std::string text = table(rows);
  const std::uint64_t total = number_of(answer, "total");
  if (total > rows.size() - 1) text += fmt::format("... and {} more\n", total - (rows.size() - 1));
  return text;
}

std::string lane_text(const Json& lane) {
  std::string text;
  const std::string stopped = stopped_by(lane);
  append_pair(text, "destination", text_of(lane, "destination"));
  append_pair(text, "binding", text_of(lane, "binding"));
  append_pair(text, "state", text_of(lane, "state") + (stopped.empty() ? "" : " " + stopped));
  if (lane.contains("suspension") && lane["suspension"].is_object()) {
    append_pair(text, "trouble", text_of(lane, "trouble"));
  }
  append_pair(text, "queued", text_of(lane, "queued"));
  append_pair(text, "due now", text_of(lane, "due"));
  append_pair(text, "in flight", text_of(lane, "in_flight"));
  append_pair(text, "held", text_of(lane, "held"));
  append_pair(text, "sessions", text_of(lane, "sessions"));
  append_pair(text, "oldest", time_of(lane, "oldest"));
  return text;
}

std::string shape_text(const Json& shape) {
  std::vector<std::string> head = {"", "total"};
  std::string last;
  for (const Json& age : list_of(shape, "ages")) {
    last = age.is_string() ? printable(age.get<std::string>()) : age.dump();
    head.push_back(last);
  }
  const Json all = shape.value("all", Json::object());
  if (list_of(all, "by_age").size() + 2 > head.size()) head.push_back(last + "+");
  Rows rows = {std::move(head), shape_row(all, "TOTAL")};
  for (const Json& row : list_of(shape, "rows")) {
    rows.push_back(shape_row(row, text_of(row, "destination")));
  }
  align_right(rows, 1, rows.front().size() - 1);
  return table(rows);
}

std::string probe_text(const Json& report) {
  std::string text;
  append_pair(text, "destination", text_of(report, "destination"));
  const std::string route = text_of(report, "route");
  append_pair(text, "route", route.empty() ? "none" : "[route.\"" + route + "\"]");
  append_pair(text, "channel", text_of(report, "channel"));
  append_pair(text, "hosts from", text_of(report, "how"));
  append_pair(text, "TLS policy", text_of(report, "tls"));
  const std::string failure = text_of(report, "failure");
  if (!failure.empty()) {
    append_pair(text, "no hosts",
                failure + (flag_of(report, "failure_is_final") ? " (mail fails at once)"
                                                               : " (mail waits)"));
  }
  for (const Json& address : list_of(report, "addresses")) text += address_text(address);
  for (const Json& left_out : list_of(report, "left_out")) {
    if (left_out.is_string()) text += "left out: " + printable(left_out.get<std::string>()) + "\n";
  }
  return text;
}

std::string trace_line_text(const Json& line) {
  const std::string side = text_of(line, "side");
  return (side == "us" ? "> " : side == "them" ? "< " : "* ") + text_of(line, "text") + "\n";
}

}  // namespace mansio::cli
