// What a report means for our records: the outcome that it tells, and a sentence for people. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsn/report.h"
#include "message/disposition.h"

namespace mansio::dsn {

/// True if the report says something of the fate of a message that belongs into its history.
/// Automatic replies and receipts do not: the message arrived, and said so already.
bool is_worth_recording(const Report& report);

/// The entry that tells most about a recipient of ours, by any of its addresses (case-insensitive);
/// without such an entry the first failure, else the first entry. Null: there is none.
const RecipientReport* entry_about(const Report& report, std::string_view address);

/// As an outcome of the attempt that it tells of. `recipient` may be null.
/// Failed, delivered as the action says; delayed, and what nobody understands, is deferred. A
/// complaint is delivered: somebody read it.
Disposition to_disposition(const Report& report, const RecipientReport* recipient);

/// "notice of mx.example", "complaint (abuse) of isp.example", "mail of x.example that is no
/// notice: WORDS". `host`: who handed it to us, where the report does not say; `address`: of our
/// recipient, named if the report speaks of another.
std::string reason_of(const Report& report, const RecipientReport* recipient, std::string_view host,
                      std::string_view address);

}  // namespace mansio::dsn
