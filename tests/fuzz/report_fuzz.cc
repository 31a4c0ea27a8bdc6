// Whatever comes back to us, the reader of reports ends, keeps its limits, gives texts that are one
// clean line each, and does not care in which pieces the octets came.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "dsn/report_reader.h"
#include "message/utf8.h"

using namespace mansio;
using namespace mansio::dsn;

namespace {

void check_line(std::string_view text) { MANSIO_ASSERT(to_printable_line(text) == text); }

void check(const Report& report) {
  for (const auto& text : {report.envelope_id, report.original_message_id, report.original_sender,
                           report.reporting_mta, report.arrival_date, report.feedback_type,
                           report.subject, report.first_line}) {
    check_line(text);
  }
  MANSIO_ASSERT(report.recipients.size() <= report_recipients_max);
  for (const RecipientReport& recipient : report.recipients) {
    check_line(recipient.final_recipient);
    check_line(recipient.original_recipient);
    check_line(recipient.diagnostic);
    check_line(recipient.remote_mta);
    for (const Field& field : recipient.unknown) check_line(field.value);
    MANSIO_ASSERT(!recipient.permanent || recipient.action == ReportAction::failed);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view octets(reinterpret_cast<const char*>(data), size);
  const Report whole = read_report(octets);
  check(whole);
  ReportReader reader;
  for (std::size_t at = 0; at < size; at += 5) reader.feed(octets.substr(at, 5));
  const Report pieces = reader.finish();
  check(pieces);
  MANSIO_ASSERT(pieces.kind == whole.kind);
  MANSIO_ASSERT(pieces.recipients.size() == whole.recipients.size());
  MANSIO_ASSERT(pieces.first_line == whole.first_line);
  return 0;
}
