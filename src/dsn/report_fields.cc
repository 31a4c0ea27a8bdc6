#include "dsn/report_fields.h"

#include <algorithm>

#include "base/text.h"
#include "dsn/mime.h"
#include "message/utf8.h"

namespace mansio::dsn {
namespace {

constexpr std::size_t unknown_fields_max = 100;
constexpr std::size_t address_octets_max = 320;

struct Typed {
  std::string_view type;
  std::string_view value;
};

/// "rfc822; a@b" in two; without a type the whole is the value.
Typed typed(std::string_view field) {
  const std::size_t semicolon = field.find(';');
  if (semicolon == std::string_view::npos) return {{}, trim(field)};
  const std::string_view type = trim(field.substr(0, semicolon));
  if (type.find_first_of(" \t@") != std::string_view::npos) return {{}, trim(field)};
  return {type, trim(field.substr(semicolon + 1))};
}

std::string address_of(std::string_view field) {
  std::string_view address = typed(field).value;
  if (address.starts_with('<') && address.ends_with('>') && address.size() > 1) {
    address = address.substr(1, address.size() - 2);
  }
  return one_line(from_utf8_address(address), address_octets_max);
}

std::string value_of(std::string_view field) { return one_line(typed(field).value); }

EnhancedCode status_of(std::string_view field) {
  const std::string_view first = field.substr(0, field.find_first_of(" \t(;"));
  return EnhancedCode::parse(first).value_or(EnhancedCode{});
}

void keep_unknown(std::vector<Field>& unknown, const Field& field) {
  if (unknown.size() >= unknown_fields_max) return;
  unknown.push_back({one_line(field.name, 100), one_line(field.value)});
}

/// True if the field is one per recipient; it is then part of `recipient`.
bool take_recipient_field(const Field& field, RecipientReport& recipient) {
  const std::string name = to_lower(field.name);
  if (name == "final-recipient") {
    recipient.final_recipient = address_of(field.value);
  } else if (name == "original-recipient") {
    recipient.original_recipient = address_of(field.value);
  } else if (name == "action") {
    recipient.action = parse_action(field.value);
  } else if (name == "status") {
    recipient.status = status_of(trim(field.value));
  } else if (name == "diagnostic-code") {
    recipient.diagnostic_type = to_lower(one_line(typed(field.value).type, 40));
    recipient.diagnostic = value_of(field.value);
  } else if (name == "remote-mta") {
    recipient.remote_mta = value_of(field.value);
  } else if (name != "last-attempt-date" && name != "final-log-id" && name != "will-retry-until" &&
             name != "localized-diagnostic") {
    return false;
  }
  return true;
}

/// True if the field is one per message.
bool take_message_field(const Field& field, Report& report) {
  const std::string name = to_lower(field.name);
  if (name == "original-envelope-id") {
    if (report.envelope_id.empty()) report.envelope_id = one_line(field.value);
  } else if (name == "reporting-mta") {
    if (report.reporting_mta.empty()) report.reporting_mta = value_of(field.value);
  } else if (name == "arrival-date") {
    report.arrival_date = one_line(field.value);
  } else if (name != "dsn-gateway" && name != "received-from-mta") {
    return false;
  }
  return true;
}

}  // namespace

std::string one_line(std::string_view text, std::size_t octets_max) {
  std::string line = to_printable_line(trim(text).substr(0, octets_max));
  if (line.size() > octets_max) {
    // Escapes made it longer; do not leave half a character.
    line.resize(octets_max);
    while (!line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80)
      line.pop_back();
    if (!line.empty() && static_cast<unsigned char>(line.back()) >= 0x80) line.pop_back();
  }
  return line;
}

ReportAction parse_action(std::string_view text) {
  const std::string word = to_lower(trim(text.substr(0, text.find_first_of(" \t(;"))));
  for (const auto action : {ReportAction::failed, ReportAction::delayed, ReportAction::delivered,
                            ReportAction::relayed, ReportAction::expanded}) {
    if (word == to_text(action)) return action;
  }
  // Seen in the wild.
  if (word == "failure") return ReportAction::failed;
  if (word == "deferred" || word == "delay") return ReportAction::delayed;
  return ReportAction::unknown;
}

bool is_permanent(const RecipientReport& recipient) {
  if (recipient.action != ReportAction::failed) return false;
  return recipient.status.klass != 4;
}

bool read_delivery_status(std::string_view part, Report& report) {
  bool found = false;
  RecipientReport recipient;
  bool has_address = false;
  bool has_other = false;  // an Action or the like
  const auto flush = [&] {
    if (has_address || has_other) {
      if (recipient.action == ReportAction::unknown && recipient.status.present()) {
        recipient.action = recipient.status.klass == 5   ? ReportAction::failed
                           : recipient.status.klass == 4 ? ReportAction::delayed
                                                         : ReportAction::delivered;
      }
      recipient.permanent = is_permanent(recipient);
      if (report.recipients.size() < report_recipients_max) {
        report.recipients.push_back(std::move(recipient));
        found = true;
      } else {
        report.truncated = true;
      }
    }
    recipient = {};
    has_address = has_other = false;
  };
  while (!part.empty()) {
    for (const Field& field : take_fields(part)) {
      // A second address of the same kind begins another recipient, empty line or not.
      const bool starts_final = equals_ignoring_case(field.name, "Final-Recipient");
      const bool starts_original = equals_ignoring_case(field.name, "Original-Recipient");
      if ((starts_final && !recipient.final_recipient.empty()) ||
          (starts_original && !recipient.original_recipient.empty())) {
        flush();
      }
      if (take_recipient_field(field, recipient)) {
        has_address = has_address || starts_final || starts_original;
        has_other = has_other || recipient.action != ReportAction::unknown ||
                    recipient.status.present() || !recipient.diagnostic.empty();
      } else if (!take_message_field(field, report)) {
        const bool per_message = !has_address && !has_other;
        keep_unknown(per_message ? report.unknown : recipient.unknown, field);
      }
    }
    if (has_address) flush();
  }
  flush();
  return found;
}

bool read_feedback_report(std::string_view part, Report& report) {
  bool found = false;
  std::vector<std::string> recipients;
  std::string remote;
  for (const Field& field : take_fields(part)) {
    found = true;
    const std::string name = to_lower(field.name);
    if (name == "feedback-type") {
      report.feedback_type = to_lower(one_line(field.value, 40));
    } else if (name == "original-mail-from") {
      report.original_sender = address_of(field.value);
    } else if (name == "original-rcpt-to") {
      if (recipients.size() < report_recipients_max) recipients.push_back(address_of(field.value));
    } else if (name == "received-date") {
      report.arrival_date = one_line(field.value);
    } else if (!take_message_field(field, report)) {
      keep_unknown(report.unknown, field);
    }
  }
  for (std::string& address : recipients) {
    RecipientReport recipient;
    recipient.final_recipient = std::move(address);
    report.recipients.push_back(std::move(recipient));
  }
  return found;
}

}  // namespace mansio::dsn
