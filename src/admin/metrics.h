// What a scrape of /metrics sees: totals per tenant, sessions, health, listeners, the spool's own
// numbers. Prefix `mansio_`. Values are collected at the scrape; nothing is counted here. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "queue/queue.h"

namespace mansio::admin {

/// What a listener counts. Gauges of this moment and totals since the start.
struct ListenerStatistics {
  std::string protocol;                   ///< "smtp", "lmtp", "http"
  std::string address;                    ///< "127.0.0.1:2525"
  std::uint64_t connections = 0;          ///< open now
  std::uint64_t connections_total = 0;    ///< accepted since the start
  std::uint64_t connections_refused = 0;  ///< over a limit or not allowed
  std::uint64_t messages_total = 0;       ///< messages that were acknowledged
};

struct MetricsInput {
  std::string version;
  Time started_at{};
  bool accepting = false;
  spool::Health health = spool::Health::ok;
  std::vector<spool::TenantTotals> tenants;
  QueueStatistics queue;
  std::vector<ListenerStatistics> listeners;
  std::vector<std::pair<std::string, std::uint64_t>> bounces;  ///< notices that came in, by kind
  std::vector<std::pair<std::string, double>> spool;  ///< Spool::statistics()
  std::uint64_t log_lines_dropped = 0;
};

/// Prometheus text format 0.0.4.
std::string metrics_text(const MetricsInput& input);

}  // namespace mansio::admin
