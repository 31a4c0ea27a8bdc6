// The machine-readable parts of a report: message/delivery-status (RFC 3464 §2, RFC 6533 §4) and
// message/feedback-report (RFC 5965 §3). Pure.
#pragma once

#include <string_view>

#include "dsn/report.h"

namespace mansio::dsn {

/// Adds what the part says; true if it names a recipient. Lenient: fields per recipient may stand
/// in the first group, groups may lack the empty line between them.
bool read_delivery_status(std::string_view part, Report& report);

/// Adds what the part says; true if there is a field in it.
bool read_feedback_report(std::string_view part, Report& report);

/// The words of an Action field.
ReportAction parse_action(std::string_view text);

/// Where an action is failed and nothing says that it was for a time only.
bool is_permanent(const RecipientReport& recipient);

/// Octets of others as one line of at most `octets_max` (and the mark of a cut).
std::string one_line(std::string_view text, std::size_t octets_max = 1000);

}  // namespace mansio::dsn
