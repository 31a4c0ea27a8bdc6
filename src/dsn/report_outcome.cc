#include "dsn/report_outcome.h"

#include "base/text.h"
#include "dsn/text_bounce.h"

namespace mansio::dsn {
namespace {

Outcome outcome_of(const Report& report, const RecipientReport* recipient) {
  if (report.kind == ReportKind::feedback) return Outcome::delivered;
  if (recipient == nullptr) return Outcome::deferred;
  switch (recipient->action) {
    case ReportAction::failed:
      return Outcome::failed;
    case ReportAction::delivered:
    case ReportAction::relayed:
    case ReportAction::expanded:
      return Outcome::delivered;
    case ReportAction::delayed:
    case ReportAction::unknown:
      break;
  }
  return Outcome::deferred;
}

/// "550 5.1.1 No such user" in its parts.
Reply reply_of(const RecipientReport& recipient) {
  Reply reply;
  reply.enhanced = recipient.status;
  std::string_view text = recipient.diagnostic;
  const QuotedReply quoted = quoted_reply(text);
  const bool smtp = recipient.diagnostic_type == "smtp" || recipient.diagnostic_type.empty();
  if (smtp) reply.code = quoted.code;
  const std::string code = std::to_string(quoted.code);
  if (reply.code != 0 && text.starts_with(code)) {
    text.remove_prefix(code.size());
    while (!text.empty() && (text.front() == ' ' || text.front() == '-')) text.remove_prefix(1);
    const std::string enhanced = quoted.enhanced.to_string();
    if (!enhanced.empty() && text.starts_with(enhanced)) {
      if (!reply.enhanced.present()) reply.enhanced = quoted.enhanced;
      text = trim(text.substr(enhanced.size()));
    }
  }
  reply.text = text;
  return reply;
}

}  // namespace

bool is_worth_recording(const Report& report) {
  return report.kind != ReportKind::auto_reply && report.kind != ReportKind::receipt;
}

const RecipientReport* entry_about(const Report& report, std::string_view address) {
  const RecipientReport* failure = nullptr;
  for (const RecipientReport& recipient : report.recipients) {
    if (!address.empty() && (equals_ignoring_case(recipient.final_recipient, address) ||
                             equals_ignoring_case(recipient.original_recipient, address))) {
      return &recipient;
    }
    if (failure == nullptr && recipient.action == ReportAction::failed) failure = &recipient;
  }
  if (failure != nullptr) return failure;
  return report.recipients.empty() ? nullptr : &report.recipients.front();
}

Disposition to_disposition(const Report& report, const RecipientReport* recipient) {
  Disposition disposition;
  disposition.outcome = outcome_of(report, recipient);
  disposition.counts_as_try = false;
  disposition.host = report.reporting_mta;
  if (recipient != nullptr) {
    disposition.reply = reply_of(*recipient);
    if (!recipient->remote_mta.empty()) disposition.host = recipient->remote_mta;
  }
  if (disposition.reply.text.empty() && report.kind == ReportKind::other) {
    disposition.reply.text = report.first_line;
  }
  return disposition;
}

std::string reason_of(const Report& report, const RecipientReport* recipient, std::string_view host,
                      std::string_view address) {
  const std::string who(report.reporting_mta.empty() ? host : report.reporting_mta);
  if (report.kind == ReportKind::feedback) {
    const std::string& type = report.feedback_type;
    return "complaint (" + (type.empty() ? "unknown" : type) + ") of " + who;
  }
  if (report.kind == ReportKind::other) {
    return "mail of " + who + " that is no notice: " + report.first_line;
  }
  std::string reason = "notice of " + who;
  if (recipient != nullptr && !recipient->final_recipient.empty() && !address.empty() &&
      !equals_ignoring_case(recipient->final_recipient, address)) {
    reason += " about " + recipient->final_recipient;
  }
  return reason;
}

}  // namespace mansio::dsn
