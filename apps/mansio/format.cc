#include "mansio/format.h"

#include <fmt/format.h>

#include <algorithm>

#include "mansio/json_text.h"

namespace mansio::cli {
namespace {

std::string reply_of(const Json& object, const char* name) {
  if (!object.contains(name) || !object[name].is_object()) return "";
  const Json& reply = object[name];
  std::string text;
  if (number_of(reply, "code") != 0) text = text_of(reply, "code");
  for (const char* part : {"enhanced", "text"}) {
    const std::string more = text_of(reply, part);
    if (!more.empty()) text += (text.empty() ? "" : " ") + more;
  }
  const std::string host = text_of(reply, "host");
  const std::string stage = text_of(reply, "stage");
  std::string where = host;
  // Texts of our own begin with the stage already.
  if (!stage.empty() && stage != "none" && text.find(stage) == text.npos)
    where += (where.empty() ? "" : ", ") + stage;
  return where.empty() ? text : text + (text.empty() ? "(" : " (") + where + ")";
}

std::string tries_of(const Json& recipient) {
  const std::uint64_t tries = number_of(recipient, "tries");
  return fmt::format("{} {}", tries, tries == 1 ? "try" : "tries");
}

/// Columns of octets that continue a character take no room.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  }));
}

/// The states that a bulk verb changes.
const char* states_of(const std::string& verb) {
  if (verb == "retry") return "active, deferred or suspended";
  if (verb == "hold") return "active, deferred, suspended or in_doubt";
  if (verb == "release") return "held, in_doubt or quarantined";
  return "any, until it has ended";
}

/// Length of a sequence at the start of `text` that changes the display and shows nothing: C1
/// controls, marks and overrides of direction, line and paragraph separators. 0: none.
std::size_t invisible(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.size() >= 2 && octet(0) == 0xC2 && octet(1) >= 0x80 && octet(1) <= 0x9F) return 2;
  if (text.size() < 3 || octet(0) != 0xE2) return 0;
  if (octet(1) == 0x80 && (octet(2) == 0x8E || octet(2) == 0x8F)) return 3;
  if (octet(1) == 0x80 && octet(2) >= 0xA8 && octet(2) <= 0xAE) return 3;
  if (octet(1) == 0x81 && octet(2) >= 0xA6 && octet(2) <= 0xA9) return 3;
  return 0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const std::size_t hidden =
        std::max<std::size_t>(invisible(text.substr(i)), octet < 0x20 || octet == 0x7F ? 1 : 0);
    if (octet == '\n' || octet == '\r' || octet == '\t') {
      out += ' ';
      ++i;
    } else if (hidden == 0) {
      out += text[i++];
    } else {
      for (std::size_t end = i + hidden; i < end; ++i) {
        out += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[i]));
      }
    }
  }
  return out;
}

std::string table(const Rows& rows, std::string_view indent) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent);
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string size_text(std::uint64_t octets) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  auto value = static_cast<double>(octets);
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", octets) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string status_text(const Json& status) {
  const Json spool = status.value("spool", Json::object());
  const Json queue = status.value("queue", Json::object());
  std::string text = fmt::format("mansio {} on {}, running since {}\n", text_of(status, "version"),
                                 text_of(status, "hostname"), time_of(status, "started_at"));
  append_pair(text, "accepting",
              flag_of(status, "accepting") ? "yes" : "no: " + text_of(status, "reason"));
  if (flag_of(status, "draining")) append_pair(text, "draining", "yes, until mansio undrain");
  std::string health = text_of(spool, "url") + ", " + text_of(spool, "health");
  if (!flag_of(spool, "durable"))
    health += ", NOT DURABLE: queued mail is lost when the daemon ends";
  append_pair(text, "spool", health);
  append_pair(text, "sessions",
              text_of(queue, "sessions") + " outbound, " + text_of(queue, "in_flight") +
                  " recipients in flight");
  append_pair(text, "lanes",
              text_of(queue, "lanes_in_memory") + " with work, " +
                  text_of(queue, "lanes_sleeping") + " asleep, " +
                  text_of(queue, "window_messages") + " messages (" +
                  size_text(number_of(queue, "window_octets")) + ") in memory");
  if (number_of(queue, "faults") != 0) append_pair(text, "faults", text_of(queue, "faults"));
  Rows rows;
  rows.push_back({"listener", "protocol", "open", "connections", "refused", "messages"});
  for (const Json& listener : list_of(status, "listeners")) {
    rows.push_back({text_of(listener, "address"), text_of(listener, "protocol"),
                    text_of(listener, "connections"), text_of(listener, "connections_total"),
                    text_of(listener, "connections_refused"), text_of(listener, "messages_total")});
  }
  if (rows.size() > 1) text += table(rows);
  return text;
}

std::string summary_text(const Json& summary) {
  Rows rows;
  const Json& tenants = list_of(summary, "tenants");
  const bool split = tenants.size() > 1;
  if (split) {
    rows.push_back({"", "all"});
    for (const Json& tenant : tenants) rows.front().push_back(text_of(tenant, "tenant"));
  }
  for (const auto& [name, value] : summary.items()) {
    if (!value.is_number()) continue;
    rows.push_back({name, text_of(summary, name.c_str())});
    for (const Json& tenant : tenants) {
      if (split) rows.back().push_back(text_of(tenant, name.c_str()));
    }
  }
  std::string text = table(rows);
  text += flag_of(summary, "balanced")
              ? "balanced: every accepted recipient is accounted for\n"
              : "NOT BALANCED: accepted is not the sum of the outcomes and what is queued\n";
  return text;
}

std::string listed_text(const Json& message) {
  std::string text =
      fmt::format("{}  {}  {}  from {}", text_of(message, "id"), time_of(message, "accepted_at"),
                  size_text(number_of(message, "size")), text_of(message, "reverse_path"));
  const std::string tenant = text_of(message, "tenant");
  if (tenant != "default") text += "  tenant " + tenant;
  Rows rows;
  for (const Json& recipient : list_of(message, "recipients")) {
    rows.push_back({text_of(recipient, "index"), text_of(recipient, "state"),
                    text_of(recipient, "address"), time_of(recipient, "due"), tries_of(recipient),
                    reply_of(recipient, "last_reply")});
  }
  return text + "\n" + table(rows, "    ");
}

std::string message_text(const Json& message) {
  const Json origin = message.value("origin", Json::object());
  std::string text;
  append_pair(text, "id", text_of(message, "id"));
  append_pair(text, "from", text_of(message, "reverse_path"));
  append_pair(text, "subject", text_of(message, "subject"));
  append_pair(text, "size", size_text(number_of(message, "size")));
  append_pair(text, "accepted", time_of(message, "accepted_at"));
  append_pair(text, "expires", time_of(message, "expires_at"));
  append_pair(text, "tenant", text_of(message, "tenant"));
  append_pair(text, "campaign", text_of(message, "campaign"));
  append_pair(text, "class", text_of(message, "class"));
  append_pair(text, "envelope id", text_of(message, "envelope_id"));
  std::string came = text_of(origin, "protocol");
  if (!text_of(origin, "client_address").empty())
    came += " from " + text_of(origin, "client_address");
  if (!text_of(origin, "client_name").empty()) came += " (" + text_of(origin, "client_name") + ")";
  append_pair(text, "came by", came);
  if (flag_of(message, "notice")) append_pair(text, "notice", "a report that this system made");
  Rows rows;
  for (const Json& recipient : list_of(message, "recipients")) {
    rows.push_back({text_of(recipient, "index"), text_of(recipient, "state"),
                    text_of(recipient, "address"),
                    text_of(recipient, "destination") + "/" + text_of(recipient, "binding"),
                    time_of(recipient, "due"),
                    tries_of(recipient) + ", deferred " + text_of(recipient, "retry_count") + "x",
                    reply_of(recipient, "last_reply")});
  }
  return text + "recipients\n" + table(rows, "  ");
}

std::string history_text(const Json& history) {
  Rows rows;
  for (const Json& entry : list_of(history, "history")) {
    std::string detail = reply_of(entry, "reply");
    const std::string next = time_of(entry, "next_attempt");
    const std::string reason = text_of(entry, "reason");
    const std::string actor = text_of(entry, "actor");
    for (const std::string& more :
         {next.empty() ? "" : "next try " + next, reason, actor.empty() ? "" : "by " + actor}) {
      if (!more.empty()) detail += (detail.empty() ? "" : "; ") + more;
    }
    const std::string attempt =
        number_of(entry, "attempt") == 0 ? "" : "try " + text_of(entry, "attempt");
    rows.push_back({text_of(entry, "seq"), text_of(entry, "time"), text_of(entry, "event"),
                    text_of(entry, "address"), attempt, detail});
  }
  return table(rows);
}

std::string waits_text(const Json& waits) {
  std::string text;
  for (const Json& wait : list_of(waits, "waits")) {
    text += text_of(wait, "address") + ": " + text_of(wait, "reason");
    const std::string setting = text_of(wait, "setting");
    const std::string since = time_of(wait, "since");
    const std::string next = time_of(wait, "next_attempt");
    const std::string detail = text_of(wait, "detail");
    if (!setting.empty()) text += " (" + setting + ")";
    if (!since.empty()) text += " since " + since;
    text += next.empty() ? ", no next try by itself" : ", next try " + next;
    if (!detail.empty()) text += ": " + detail;
    text += "\n";
  }
  return text;
}

std::string change_text(const Json& change, const std::string& verb, bool dry_run) {
  const std::uint64_t matched = number_of(change, "matched");
  const std::uint64_t changed = number_of(change, "changed");
  const std::uint64_t flying = number_of(change, "in_flight");
  const bool cancelled = flag_of(change, "cancelled");
  std::string text =
      fmt::format("matched {}, {} {}{}\n", matched, dry_run ? "would change" : "changed", changed,
                  dry_run ? " (dry run: nothing has changed)" : "");
  if (cancelled) text += "ended early: not all of the queue was looked at\n";
  if (flying != 0) {
    text += fmt::format("{} in flight {} left alone: a session works on {}\n", flying,
                        flying == 1 ? "was" : "were", flying == 1 ? "it" : "them");
  }
  if (matched > changed + flying) {
    const std::uint64_t rest = matched - changed - flying;
    text += fmt::format("{} {} not in a state that {} takes ({})\n", rest, rest == 1 ? "is" : "are",
                        verb, states_of(verb));
  }
  for (const Json& id : list_of(change, "missing")) {
    text +=
        "not in the queue: " + printable(id.is_string() ? id.get<std::string>() : id.dump()) + "\n";
  }
  return text;
}

}  // namespace mansio::cli
