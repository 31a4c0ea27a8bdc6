// Bounces that say what happened in words only, as mail servers wrote them before RFC 3464 and some
// still do. One table of phrases tells them; the addresses and replies are found by their form.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dsn/report.h"

namespace mansio::dsn {

/// What the words of a text say.
struct TextFindings {
  std::string dialect;  ///< empty: no phrase of the table stands in it
  ReportAction action = ReportAction::unknown;
  std::string reporting_mta;
  std::string original_message_id;
  std::vector<RecipientReport> recipients;  ///< at most text_recipients_max
  /// Addresses that stand anywhere in the text: to be asked only where it is a bounce for sure and
  /// `recipients` is empty.
  std::vector<RecipientReport> mentioned;
};

inline constexpr std::size_t text_recipients_max = 100;

/// Reads the first `text_octets_max` octets. `failed_recipients`: of the header field
/// X-Failed-Recipients; they count as named in the text.
TextFindings read_text(std::string_view text, std::string_view failed_recipients);
inline constexpr std::size_t text_octets_max = 64 * 1024;

/// The words of an HTML text: tags gone, blocks as lines.
std::string text_of_html(std::string_view html);

/// The reply that a text quotes: "550 5.1.1 ...", "#5.1.1", "(#5.1.1)". `code` 0: none.
struct QuotedReply {
  std::uint16_t code = 0;
  EnhancedCode enhanced;
};

QuotedReply quoted_reply(std::string_view text);

/// The status for a text without one, by what it says: "user unknown" is X.1.1. Class 0: no idea.
EnhancedCode guessed_status(std::string_view text, std::uint8_t klass);

}  // namespace mansio::dsn
