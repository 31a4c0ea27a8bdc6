#include "admin/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, ShowTotalsPerTenantHealthAndListeners) {
  MetricsInput input;
  input.version = "1.2.3";
  input.accepting = true;
  spool::TenantTotals tenant;
  tenant.tenant = "default";
  tenant.totals.accepted = 5;
  tenant.totals.delivered = 3;
  tenant.totals.queued = 2;
  input.tenants = {tenant};
  input.queue.sessions = 7;
  ListenerStatistics listener;
  listener.protocol = "smtp";
  listener.address = "127.0.0.1:2525";
  listener.connections_total = 9;
  input.listeners = {listener};
  input.bounces = {{"delivery_status", 3}};
  input.spool = {{"journal.segments-live", 4.0}};
  const std::string text = metrics_text(input);
  EXPECT_THAT(text, HasSubstr("mansio_build_info{version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("mansio_recipients_accepted_total{tenant=\"default\"} 5"));
  EXPECT_THAT(text, HasSubstr("mansio_recipients_queued{tenant=\"default\"} 2"));
  EXPECT_THAT(text, HasSubstr("# TYPE mansio_recipients_accepted_total counter"));
  EXPECT_THAT(text, HasSubstr("# TYPE mansio_recipients_queued gauge"));
  EXPECT_THAT(text, HasSubstr("mansio_balanced 1"));
  EXPECT_THAT(text, HasSubstr("mansio_sessions_out 7"));
  EXPECT_THAT(text, HasSubstr("mansio_spool_health{state=\"ok\"} 1"));
  EXPECT_THAT(text, HasSubstr("mansio_spool_health{state=\"latched\"} 0"));
  EXPECT_THAT(text,
              HasSubstr("connections_in_total{protocol=\"smtp\",address=\"127.0.0.1:2525\"} 9"));
  EXPECT_THAT(text, HasSubstr("mansio_bounces_total{kind=\"delivery_status\"} 3"));
  EXPECT_THAT(text, HasSubstr("mansio_spool_journal_segments_live 4"));
}

TEST(Metrics, EveryLineCarriesThePrefix) {
  const std::string text = metrics_text(MetricsInput());
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with("mansio_") || line.starts_with("# HELP mansio_") ||
                line.starts_with("# TYPE mansio_"))
        << line;
  }
}

TEST(Metrics, SurviveALabelThatIsNotText) {
  MetricsInput input;
  spool::TenantTotals tenant;
  tenant.tenant = "a\xff\"b\nc";
  input.tenants = {tenant};
  const std::string text = metrics_text(input);
  EXPECT_THAT(text, Not(HasSubstr("\xff")));
  EXPECT_THAT(text, HasSubstr("{tenant=\"a\xEF\xBF\xBD\\\"b\\nc\"}"));
}

TEST(Metrics, ShowWhenTheTotalsDoNotBalance) {
  MetricsInput input;
  spool::TenantTotals tenant;
  tenant.totals.accepted = 1;
  input.tenants = {tenant};
  EXPECT_THAT(metrics_text(input), HasSubstr("mansio_balanced 0"));
}

}  // namespace
}  // namespace mansio::admin
