#include "dsn/delivery_status.h"

#include "base/text.h"
#include "dsn/mime.h"
#include "message/utf8.h"
#include "message/xtext.h"

namespace mansio::dsn {

namespace {

// A reply may be any number of lines; a report needs its beginning.
constexpr std::size_t diagnostic_octets_max = 1500;
constexpr std::size_t name_octets_max = 255;
constexpr std::size_t envelope_id_octets_max = 255;

/// Original-Recipient: ORCPT is "type;xtext" (RFC 3461 §4.2); the report carries it decoded, with
/// its type. Type utf-8 has an encoding of its own (RFC 6533 §3).
std::string original_recipient(const std::string& orcpt, bool international) {
  const std::size_t semicolon = orcpt.find(';');
  if (semicolon == std::string::npos) return {};
  const std::string type = orcpt.substr(0, semicolon);
  const std::string address = orcpt.substr(semicolon + 1);
  if (equals_ignoring_case(type, "utf-8")) {
    return "utf-8; " + utf8_address(from_utf8_address(address), international);
  }
  const std::string decoded = from_xtext(address).value_or(address);
  return to_printable_ascii(type, name_octets_max) + "; " +
         (is_ascii(decoded) ? to_printable_ascii(decoded, decoded.size() * 4)
                            : utf8_address(decoded, false));
}

std::string final_recipient(const Recipient& recipient, bool international) {
  const Address& address = recipient.original.is_null() ? recipient.address : recipient.original;
  const std::string text = address.to_string();
  if (address.needs_utf8()) return "utf-8; " + utf8_address(text, international);
  return "rfc822; " + to_printable_ascii(text, text.size() * 4);
}

std::string diagnostic(const Disposition& disposition) {
  const std::string text = to_printable_ascii(disposition.reply.to_string(), diagnostic_octets_max);
  return (peer_spoke(disposition) ? "smtp; " : "x-mansio; ") + text;
}

std::string recipient_block(const NoticeRequest& request, const ReportedRecipient& reported) {
  const Recipient& recipient = request.original.envelope.recipients.at(reported.index);
  const bool international = is_international(request);
  const Disposition& disposition = reported.disposition;
  std::string block = "\r\n";
  const std::string original = original_recipient(recipient.original_recipient, international);
  if (!original.empty()) block += header_field("Original-Recipient", original);
  block += header_field("Final-Recipient", final_recipient(recipient, international));
  block += header_field("Action", to_text(reported.action));
  block += header_field("Status", status_of(disposition).to_string());
  if (peer_spoke(disposition)) {
    block +=
        header_field("Remote-MTA", "dns; " + to_printable_ascii(disposition.host, name_octets_max));
  }
  if (!disposition.reply.to_string().empty()) {
    block += header_field("Diagnostic-Code", diagnostic(disposition));
  }
  if (reported.last_attempt != Time{}) {
    block += header_field("Last-Attempt-Date", to_rfc5322(reported.last_attempt));
  }
  if (reported.action == Action::delayed) {
    block += header_field("Will-Retry-Until", to_rfc5322(request.original.expires_at));
  }
  return block += header_field("X-Mansio-Tries", std::to_string(reported.tries));
}

}  // namespace

EnhancedCode status_of(const Disposition& disposition) {
  // RFC 3463 §3.5: the lifetime is over, and no further try will be made.
  if (disposition.outcome == Outcome::expired || disposition.cause == Cause::lifetime)
    return {5, 4, 7};
  const Reply& reply = disposition.reply;
  if (disposition.outcome == Outcome::delivered || disposition.outcome == Outcome::deferred) {
    const std::uint8_t klass = disposition.outcome == Outcome::delivered ? 2 : 4;
    return reply.enhanced.klass == klass ? reply.enhanced : EnhancedCode{klass, 0, 0};
  }
  const std::uint8_t klass = reply.temporary() ? 4 : 5;
  if (reply.enhanced.klass == klass) return reply.enhanced;
  // Without a reply code the enhanced code alone decides; a success class cannot be right.
  if (reply.code == 0 && reply.enhanced.klass == 4) return reply.enhanced;
  return {klass, 0, 0};
}

bool peer_spoke(const Disposition& disposition) {
  const bool reply_kept = disposition.cause == Cause::reply || disposition.cause == Cause::tries ||
                          disposition.cause == Cause::lifetime;
  // Before there is a connection nobody can answer, whatever the end was called later.
  const bool connected = disposition.stage != Stage::route && disposition.stage != Stage::connect;
  return reply_kept && connected && disposition.reply.code != 0 && !disposition.host.empty();
}

std::string delivery_status(const NoticeRequest& request) {
  const Envelope& envelope = request.original.envelope;
  std::string part = header_field("Reporting-MTA", "dns; " + request.hostname);
  if (!envelope.envelope_id.empty()) {
    const auto decoded = from_xtext(envelope.envelope_id);
    part += header_field(
        "Original-Envelope-Id",
        to_printable_ascii(decoded.value_or(envelope.envelope_id), envelope_id_octets_max));
  }
  part += header_field("Arrival-Date", to_rfc5322(request.original.accepted_at));
  part += header_field("X-Mansio-Queue-Id", request.original.id.to_string());
  for (const ReportedRecipient& reported : request.recipients) {
    part += recipient_block(request, reported);
  }
  return part;
}

}  // namespace mansio::dsn
