// What a message that came back to us says: the result of reading a notice of another server. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dsn/header_fields.h"
#include "message/disposition.h"

namespace mansio::dsn {

enum class ReportKind : std::uint8_t {
  delivery_status,  ///< RFC 3464, or RFC 6533
  bounce,           ///< a notice in words only
  feedback,         ///< a complaint or the like, RFC 5965
  receipt,          ///< what became of the message at its reader, RFC 8098
  auto_reply,       ///< a vacation notice or the like, RFC 3834
  other,            ///< nothing that we understand
};
const char* to_text(ReportKind kind);

/// RFC 3464 §2.3.3.
enum class ReportAction : std::uint8_t { unknown, failed, delayed, delivered, relayed, expanded };
const char* to_text(ReportAction action);

/// Texts are one line of valid UTF-8 without controls; what is absent is empty.
struct RecipientReport {
  std::string final_recipient;     ///< address without its type
  std::string original_recipient;  ///< the same
  ReportAction action = ReportAction::unknown;
  EnhancedCode status;
  std::string diagnostic_type;  ///< "smtp"
  std::string diagnostic;       ///< without its type
  std::string remote_mta;       ///< without its type
  bool permanent = false;       ///< failed, and for a cause that another try would meet again
  std::vector<Field> unknown;   ///< fields that stand in no standard, in order
};

/// At most so many recipients of a report are kept.
inline constexpr std::size_t report_recipients_max = 1000;

struct Report {
  ReportKind kind = ReportKind::other;
  std::string dialect;  ///< of a bounce in words: "qmail", "exim"...; else empty
  std::string envelope_id;
  std::string original_message_id;
  std::string original_sender;  ///< reverse-path of the original, where the report names it
  std::string reporting_mta;    ///< without its type
  std::string arrival_date;
  std::string feedback_type;  ///< "abuse"
  std::string subject;
  std::string first_line;  ///< of the text for people
  std::vector<RecipientReport> recipients;
  std::vector<Field> unknown;  ///< fields per message that stand in no standard
  bool truncated = false;      ///< some of the message was passed over because of a limit
};

}  // namespace mansio::dsn
