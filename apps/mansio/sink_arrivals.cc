#include "mansio/sink_arrivals.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mansio::sink {

void Arrivals::add(const Arrival& arrival) {
  const Received& received = arrival.received;
  std::uint32_t count = 1;
  {
    const std::lock_guard lock(mutex_);
    ++messages_;
    recipients_ += arrival.recipients.size();
    octets_ += received.size;
    if (keep_ && !received.token.empty()) {
      auto& by_recipient = seen_[received.token];
      for (const std::string& recipient : arrival.recipients) {
        Seen& seen = by_recipient[recipient];
        if (seen.count == 0) seen.checksum = received.checksum;
        if (seen.checksum != received.checksum) ++seen.differing;
        if (++seen.count > 1) ++repeated_;
        count = std::max(count, seen.count);
      }
    }
  }
  if (!record_.active()) return;
  std::string line = fmt::format(
      R"({{"token":{},"sender":{},"recipients":{},"count":{},"size":{},"crc":"{:08x}","at":{:.6f})",
      load::json_string(received.token), load::json_string(arrival.sender),
      load::json_strings(arrival.recipients), count, received.size, received.checksum,
      load::monotonic_seconds(std::chrono::steady_clock::now()));
  if (received.token.empty()) line += ",\"subject\":" + load::json_string(received.subject);
  record_.line(line + '}');
}

void Arrivals::refused_for_good(const std::string& recipient) {
  if (!keep_) return;
  const std::lock_guard lock(mutex_);
  refused_.insert(recipient);
}

CheckResult Arrivals::check(const std::string& load_record) const {
  std::ifstream file(load_record);
  if (!file) throw std::runtime_error("cannot read " + load_record);
  const std::lock_guard lock(mutex_);
  CheckResult result;
  const auto example = [&result](std::string_view what, const std::string& token,
                                 const std::string& recipient) {
    if (result.examples.size() < 10)
      result.examples.push_back(fmt::format("{}: {} {}", what, token, recipient));
  };
  std::unordered_set<std::string> known;
  for (std::string text; std::getline(file, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (!line.is_object() || !line.contains("token") || !line.contains("recipients")) {
      ++result.unreadable;
      continue;
    }
    const auto token = line.value("token", std::string());
    known.insert(token);
    const auto checksum =
        static_cast<std::uint32_t>(std::strtoul(line.value("crc", "").c_str(), nullptr, 16));
    const auto arrived = seen_.find(token);
    if (arrived != seen_.end()) {
      for (const auto& [recipient, seen] : arrived->second) {
        result.twice += seen.count - 1;
        const std::uint64_t wrong =
            seen.checksum == checksum ? seen.differing : seen.count - seen.differing;
        if (wrong != 0) example("damaged", token, recipient);
        result.damaged += wrong;
      }
    }
    if (line.value("outcome", "") != "accepted") continue;
    for (const auto& recipient : line["recipients"].get<std::vector<std::string>>()) {
      ++result.acknowledged;
      if (arrived != seen_.end() && arrived->second.contains(recipient)) {
        ++result.arrived;
      } else if (refused_.contains(recipient)) {
        ++result.refused;
      } else {
        ++result.missing;
        example("missing", token, recipient);
      }
    }
  }
  for (const auto& [token, recipients] : seen_) {
    if (!known.contains(token)) result.unknown += recipients.size();
  }
  return result;
}

}  // namespace mansio::sink
