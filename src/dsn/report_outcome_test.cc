#include "dsn/report_outcome.h"

#include <gtest/gtest.h>

namespace mansio::dsn {
namespace {

RecipientReport about(const std::string& address, ReportAction action) {
  RecipientReport recipient;
  recipient.final_recipient = address;
  recipient.action = action;
  recipient.status = {5, 1, 1};
  recipient.diagnostic_type = "smtp";
  recipient.diagnostic = "550-5.1.1 No such user";
  return recipient;
}

Report report(ReportKind kind, std::vector<RecipientReport> recipients) {
  Report made;
  made.kind = kind;
  made.reporting_mta = "mx.example";
  made.first_line = "Words";
  made.recipients = std::move(recipients);
  return made;
}

TEST(ReportOutcome, TakesTheReplyApart) {
  const Report failed =
      report(ReportKind::delivery_status, {about("a@x.example", ReportAction::failed)});
  Disposition disposition = to_disposition(failed, &failed.recipients[0]);
  EXPECT_EQ(disposition.outcome, Outcome::failed);
  EXPECT_EQ(disposition.reply.to_string(), "550 5.1.1 No such user");
  EXPECT_EQ(disposition.reply.text, "No such user");
  EXPECT_EQ(disposition.host, "mx.example");
  EXPECT_FALSE(disposition.counts_as_try);
  RecipientReport other = failed.recipients[0];
  other.diagnostic_type = "x-unix";
  other.diagnostic = "exit 550 something";
  other.remote_mta = "far.example";
  disposition = to_disposition(failed, &other);
  EXPECT_EQ(disposition.reply.code, 0);
  EXPECT_EQ(disposition.reply.text, "exit 550 something");
  EXPECT_EQ(disposition.host, "far.example");
}

TEST(ReportOutcome, FollowsTheAction) {
  const auto outcome = [](ReportKind kind, ReportAction action) {
    const Report made = report(kind, {about("a@x.example", action)});
    return to_disposition(made, &made.recipients[0]).outcome;
  };
  EXPECT_EQ(outcome(ReportKind::bounce, ReportAction::failed), Outcome::failed);
  EXPECT_EQ(outcome(ReportKind::bounce, ReportAction::delayed), Outcome::deferred);
  EXPECT_EQ(outcome(ReportKind::delivery_status, ReportAction::relayed), Outcome::delivered);
  EXPECT_EQ(outcome(ReportKind::delivery_status, ReportAction::unknown), Outcome::deferred);
  EXPECT_EQ(outcome(ReportKind::feedback, ReportAction::unknown), Outcome::delivered);
  const Report nothing = report(ReportKind::other, {});
  EXPECT_EQ(to_disposition(nothing, nullptr).outcome, Outcome::deferred);
  EXPECT_EQ(to_disposition(nothing, nullptr).reply.text, "Words");
}

TEST(ReportOutcome, FindsTheEntryAboutARecipient) {
  RecipientReport forwarded = about("c@y.example", ReportAction::delayed);
  forwarded.original_recipient = "C@X.example";
  const Report made =
      report(ReportKind::delivery_status, {about("a@x.example", ReportAction::delivered),
                                           about("b@x.example", ReportAction::failed), forwarded});
  EXPECT_EQ(entry_about(made, "A@x.example"), &made.recipients[0]);
  EXPECT_EQ(entry_about(made, "c@x.example"), &made.recipients[2]);
  EXPECT_EQ(entry_about(made, "d@x.example"), &made.recipients[1]);
  EXPECT_EQ(entry_about(made, ""), &made.recipients[1]);
  EXPECT_EQ(entry_about(report(ReportKind::other, {}), "a@x.example"), nullptr);
}

TEST(ReportOutcome, SaysWhoSaidIt) {
  const Report failed =
      report(ReportKind::delivery_status, {about("b@y.example", ReportAction::failed)});
  const RecipientReport* entry = &failed.recipients[0];
  EXPECT_EQ(reason_of(failed, entry, "client", "B@y.example"), "notice of mx.example");
  EXPECT_EQ(reason_of(failed, entry, "client", "a@x.example"),
            "notice of mx.example about b@y.example");
  Report complaint = report(ReportKind::feedback, {});
  complaint.feedback_type = "abuse";
  EXPECT_EQ(reason_of(complaint, nullptr, "client", ""), "complaint (abuse) of mx.example");
  Report other = report(ReportKind::other, {});
  other.reporting_mta.clear();
  EXPECT_EQ(reason_of(other, nullptr, "192.0.2.1", ""),
            "mail of 192.0.2.1 that is no notice: Words");
}

TEST(ReportOutcome, LeavesAutomaticRepliesOut) {
  EXPECT_FALSE(is_worth_recording(report(ReportKind::auto_reply, {})));
  EXPECT_FALSE(is_worth_recording(report(ReportKind::receipt, {})));
  EXPECT_TRUE(is_worth_recording(report(ReportKind::other, {})));
  EXPECT_TRUE(is_worth_recording(report(ReportKind::feedback, {})));
}

}  // namespace
}  // namespace mansio::dsn
