#include "admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "admin/json.h"

namespace mansio::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

/// The exposition format is UTF-8; a label that is not would spoil the whole scrape.
std::string valid_text(const std::string& text) {
  return Json::parse(dump(Json(text))).get<std::string>();
}

ClientMetric::Label label(std::string name, const std::string& value) {
  ClientMetric::Label label;
  label.name = std::move(name);
  label.value = valid_text(value);
  return label;
}

class Families {
 public:
  /// Starts a family; the following add() calls belong to it.
  void begin(std::string name, MetricType type, std::string help) {
    MetricFamily family;
    family.name = "mansio_" + std::move(name);
    family.type = type;
    family.help = std::move(help);
    families_.push_back(std::move(family));
  }

  void add(double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (families_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        value;
    families_.back().metric.push_back(std::move(metric));
  }

  void gauge(std::string name, double value, std::string help) {
    begin(std::move(name), MetricType::Gauge, std::move(help));
    add(value);
  }

  void counter(std::string name, double value, std::string help) {
    begin(std::move(name), MetricType::Counter, std::move(help));
    add(value);
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  std::vector<MetricFamily> families_;
};

struct TotalsField {
  const char* name;
  const char* help;
  std::uint64_t spool::Totals::*field;
};

constexpr TotalsField counters[] = {
    {"recipients_accepted_total", "Recipients accepted.", &spool::Totals::accepted},
    {"recipients_delivered_total", "Recipients delivered.", &spool::Totals::delivered},
    {"recipients_failed_total", "Recipients that failed for good.", &spool::Totals::failed},
    {"recipients_expired_total", "Recipients whose lifetime ended.", &spool::Totals::expired},
    {"recipients_removed_total", "Recipients removed by an operator.", &spool::Totals::removed},
    {"recipients_moved_total", "Recipients handed to another queue.", &spool::Totals::moved},
};

constexpr TotalsField gauges[] = {
    {"recipients_queued", "Recipients without a final outcome.", &spool::Totals::queued},
    {"recipients_held", "Queued recipients that an operator stopped.", &spool::Totals::held},
    {"recipients_in_doubt", "Queued recipients whose last attempt has no known outcome.",
     &spool::Totals::in_doubt},
    {"recipients_quarantined", "Queued recipients whose record does not decode: look at once.",
     &spool::Totals::quarantined},
    {"messages_queued", "Messages with a recipient that is not final.", &spool::Totals::messages},
    {"content_octets", "Content of those messages.", &spool::Totals::octets},
};

void add_totals(Families& families, const MetricsInput& input, const TotalsField& total,
                MetricType type) {
  families.begin(total.name, type, total.help);
  for (const spool::TenantTotals& tenant : input.tenants) {
    Labels labels;
    labels.push_back(label("tenant", tenant.tenant));
    families.add(static_cast<double>(tenant.totals.*total.field), std::move(labels));
  }
}

void add_listeners(Families& families, const MetricsInput& input, const char* name, MetricType type,
                   const char* help, std::uint64_t ListenerStatistics::*field) {
  families.begin(name, type, help);
  for (const ListenerStatistics& listener : input.listeners) {
    Labels labels;
    labels.push_back(label("protocol", listener.protocol));
    labels.push_back(label("address", listener.address));
    families.add(static_cast<double>(listener.*field), std::move(labels));
  }
}

/// Names of metrics take letters, digits and underscores only.
std::string metric_name(std::string text) {
  for (char& c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!fits) c = '_';
  }
  return text;
}

}  // namespace

std::string metrics_text(const MetricsInput& input) {
  Families families;
  families.begin("build_info", MetricType::Gauge, "1, with the version as label.");
  Labels version;
  version.push_back(label("version", input.version));
  families.add(1, std::move(version));
  const auto since_epoch = std::chrono::duration<double>(input.started_at.time_since_epoch());
  families.gauge("start_time_seconds", since_epoch.count(), "When the daemon started.");
  families.gauge("accepting", input.accepting ? 1 : 0, "1 while mail is accepted.");
  families.begin("spool_health", MetricType::Gauge, "1 for the state that the spool is in.");
  for (const auto health : {spool::Health::ok, spool::Health::reserve, spool::Health::latched}) {
    Labels labels;
    labels.push_back(label("state", to_text(health)));
    families.add(input.health == health ? 1 : 0, std::move(labels));
  }

  for (const TotalsField& total : counters) add_totals(families, input, total, MetricType::Counter);
  for (const TotalsField& total : gauges) add_totals(families, input, total, MetricType::Gauge);
  bool balanced = true;
  for (const spool::TenantTotals& tenant : input.tenants) {
    balanced = balanced && tenant.totals.balanced();
  }
  families.gauge("balanced", balanced ? 1 : 0,
                 "1 while accepted equals all outcomes and what is queued: page someone at 0.");

  const QueueStatistics& queue = input.queue;
  families.gauge("sessions_out", static_cast<double>(queue.sessions), "Outbound sessions.");
  families.gauge("recipients_in_flight", static_cast<double>(queue.in_flight),
                 "Recipients in an attempt.");
  families.gauge("window_messages", static_cast<double>(queue.window_messages),
                 "Messages in the windows of the lanes.");
  families.gauge("window_octets", static_cast<double>(queue.window_octets), "Their memory.");
  families.gauge("window_memory_octets", static_cast<double>(queue.window_memory),
                 "Memory that the windows take, with all that their messages hold.");
  families.gauge("lanes_in_memory", static_cast<double>(queue.lanes_in_memory), "Lanes with work.");
  families.gauge("lanes_sleeping", static_cast<double>(queue.lanes_sleeping),
                 "Lanes whose mail waits on disk for its time or its turn.");
  families.counter("deferrals_total", static_cast<double>(queue.deferrals),
                   "Outcomes of attempts that put a recipient off, since the start.");
  families.counter("faults_total", static_cast<double>(queue.faults),
                   "Results that a target left out or that could not be settled: a defect.");

  families.begin("notices_total", MetricType::Counter,
                 "Recipients that a sender was told of, by action.");
  for (const auto& [action, count] : queue.notices) {
    Labels labels;
    labels.push_back(label("action", action));
    families.add(static_cast<double>(count), std::move(labels));
  }
  families.begin("notices_suppressed_total", MetricType::Counter,
                 "Recipients that no sender was told of, by reason.");
  for (const auto& [reason, count] : queue.notices_suppressed) {
    Labels labels;
    labels.push_back(label("reason", reason));
    families.add(static_cast<double>(count), std::move(labels));
  }

  families.begin("bounces_total", MetricType::Counter,
                 "Notices of other servers that came to [bounces], by kind; refused: no token.");
  for (const auto& [kind, count] : input.bounces) {
    Labels labels;
    labels.push_back(label("kind", kind));
    families.add(static_cast<double>(count), std::move(labels));
  }

  using S = ListenerStatistics;
  add_listeners(families, input, "connections_in", MetricType::Gauge, "Open connections.",
                &S::connections);
  add_listeners(families, input, "connections_in_total", MetricType::Counter,
                "Connections accepted.", &S::connections_total);
  add_listeners(families, input, "connections_in_refused_total", MetricType::Counter,
                "Connections refused.", &S::connections_refused);
  add_listeners(families, input, "messages_in_total", MetricType::Counter, "Messages acknowledged.",
                &S::messages_total);
  for (const auto& [name, value] : input.spool) {
    families.gauge("spool_" + metric_name(name), value, "The spool's own number: " + name + ".");
  }
  families.counter("log_lines_dropped_total", static_cast<double>(input.log_lines_dropped),
                   "Log lines that could not be written.");
  return families.text();
}

}  // namespace mansio::admin
