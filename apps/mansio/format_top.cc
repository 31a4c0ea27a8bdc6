#include "mansio/format_top.h"

#include <fmt/format.h>

#include "mansio/format_lanes.h"
#include "mansio/json_text.h"

namespace mansio::cli {
namespace {

struct Rate {
  const char* name;
  bool of_summary;  ///< else of the queue's part of the status
  const char* counter;
};

constexpr Rate rates[] = {
    {"accepted", true, "accepted"},   {"delivered", true, "delivered"},
    {"deferred", false, "deferrals"}, {"failed", true, "failed"},
    {"expired", true, "expired"},     {"removed", true, "removed"},
};

const Json& member(const Json& object, const char* name) {
  static const Json empty = Json::object();
  return object.is_object() && object.contains(name) ? object[name] : empty;
}

std::uint64_t counter(const TopSample& sample, const Rate& rate) {
  return rate.of_summary ? number_of(sample.summary, rate.counter)
                         : number_of(member(sample.status, "queue"), rate.counter);
}

Json rate_json(const TopSample& before, const TopSample& now, const Rate& rate) {
  const double seconds = now.at - before.at;
  const std::uint64_t from = counter(before, rate);
  const std::uint64_t to = counter(now, rate);
  if (seconds <= 0 || to < from) return nullptr;
  return static_cast<double>(to - from) / seconds;
}

std::string rate_text(const Json& rate) {
  return rate.is_number() ? fmt::format("{:.1f}", rate.get<double>()) : "-";
}

/// Cuts a line at `columns` characters, never inside one.
std::string cut(const std::string& line, std::size_t columns) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(line[i]) & 0xC0u) != 0x80u;
    if (begins && seen++ == columns) return line.substr(0, i);
  }
  return line;
}

std::string wrapped(const std::string& text, std::size_t columns) {
  if (columns == 0) return text;
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    out += cut(text.substr(begin, end - begin), columns) + "\n";
    begin = end == std::string::npos ? text.size() : end + 1;
  }
  return out;
}

std::string lanes_part(const Json& lanes, const char* head) {
  Json answer;
  answer["lanes"] = lanes;
  const std::string text = lanes_text(answer);
  return text.empty() ? "" : std::string("\n") + head + "\n" + text;
}

}  // namespace

Json top_frame(const TopSample& before, const TopSample& now, std::size_t lanes_max) {
  const Json& queue = member(now.status, "queue");
  Json frame;
  for (const char* name : {"time", "hostname", "accepting", "draining", "reason"}) {
    frame[name] = now.status.contains(name) ? now.status[name] : Json(nullptr);
  }
  frame["seconds"] = now.at - before.at;
  for (const Rate& rate : rates) frame["rates"][rate.name] = rate_json(before, now, rate);
  for (const char* name : {"queued", "held", "in_doubt", "quarantined", "in_flight", "messages"}) {
    frame[name] = number_of(now.summary, name);
  }
  frame["sessions"] = number_of(queue, "sessions");
  frame["lanes_total"] = number_of(now.lanes, "total");
  frame["busy"] = Json::array();
  frame["troubled"] = Json::array();
  for (const Json& lane : list_of(now.lanes, "lanes")) {
    const std::string state = text_of(lane, "state");
    Json& list = frame[state == "resting" || state == "suspended" ? "troubled" : "busy"];
    if (list.size() < lanes_max) list.push_back(lane);
  }
  return frame;
}

std::string top_text(const Json& frame, std::size_t columns) {
  std::string text = fmt::format(
      "mansio on {}  {}  {}\n", text_of(frame, "hostname"), time_of(frame, "time"),
      flag_of(frame, "accepting") ? "accepting" : "NOT ACCEPTING: " + text_of(frame, "reason"));
  text += fmt::format("queued {} in {} messages and {} lanes, {} in flight on {} sessions\n",
                      text_of(frame, "queued"), text_of(frame, "messages"),
                      text_of(frame, "lanes_total"), text_of(frame, "in_flight"),
                      text_of(frame, "sessions"));
  text += fmt::format("held {}, in doubt {}, quarantined {}\n", text_of(frame, "held"),
                      text_of(frame, "in_doubt"), text_of(frame, "quarantined"));
  text += "per second:";
  const Json& shown = member(frame, "rates");
  for (const auto& [name, rate] : shown.items()) text += "  " + name + " " + rate_text(rate);
  text += "\n";
  text += lanes_part(list_of(frame, "busy"), "the fullest lanes");
  text += lanes_part(list_of(frame, "troubled"), "in trouble or suspended");
  return wrapped(text, columns);
}

}  // namespace mansio::cli
