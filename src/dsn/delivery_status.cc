#include "dsn/delivery_status.h"

#include "dsn/mime.h"
#include "message/utf8.h"
#include "message/xtext.h"

namespace mansio::dsn {

namespace {

// A reply may be any number of lines; a report needs its beginning.
constexpr std::size_t diagnostic_octets_max = 1500;
constexpr std::size_t name_octets_max = 255;
constexpr std::size_t envelope_id_octets_max = 255;

/// Original-Recipient: ORCPT is "type;xtext" (RFC 3461 §4.2); the report carries it decoded.
std::string original_recipient(const std::string& orcpt) {
  const std::size_t semicolon = orcpt.find(';');
  if (semicolon == std::string::npos) return {};
  const std::string address = orcpt.substr(semicolon + 1);
  const std::string decoded = from_xtext(address).value_or(address);
  return to_printable_ascii(orcpt.substr(0, semicolon), name_octets_max) + "; " +
         ascii_address(decoded);
}

std::string final_recipient(const Recipient& recipient) {
  const Address& address = recipient.original.is_null() ? recipient.address : recipient.original;
  return (address.needs_utf8() ? "utf-8; " : "rfc822; ") + ascii_address(address.to_string());
}

std::string diagnostic(const Disposition& disposition) {
  const std::string text = to_printable_ascii(disposition.reply.to_string(), diagnostic_octets_max);
  return (peer_spoke(disposition) ? "smtp; " : "x-mansio; ") + text;
}

std::string recipient_block(const Recipient& recipient, const FailedRecipient& failed) {
  const Disposition& disposition = failed.disposition;
  std::string block = "\r\n";
  const std::string original = original_recipient(recipient.original_recipient);
  if (!original.empty()) block += header_field("Original-Recipient", original);
  block += header_field("Final-Recipient", final_recipient(recipient));
  block += header_field("Action", "failed");
  block += header_field("Status", status_of(disposition).to_string());
  if (peer_spoke(disposition)) {
    block +=
        header_field("Remote-MTA", "dns; " + to_printable_ascii(disposition.host, name_octets_max));
  }
  if (!disposition.reply.to_string().empty()) {
    block += header_field("Diagnostic-Code", diagnostic(disposition));
  }
  if (failed.last_attempt != Time{}) {
    block += header_field("Last-Attempt-Date", to_rfc5322(failed.last_attempt));
  }
  return block += header_field("X-Mansio-Tries", std::to_string(failed.tries));
}

}  // namespace

EnhancedCode status_of(const Disposition& disposition) {
  // RFC 3463 §3.5: the lifetime is over, and no further try will be made.
  if (disposition.outcome == Outcome::expired || disposition.cause == Cause::lifetime)
    return {5, 4, 7};
  const Reply& reply = disposition.reply;
  const std::uint8_t klass = reply.temporary() ? 4 : 5;
  if (reply.enhanced.klass == klass) return reply.enhanced;
  // Without a reply code the enhanced code alone decides; a success class cannot be right.
  if (reply.code == 0 && reply.enhanced.klass == 4) return reply.enhanced;
  return {klass, 0, 0};
}

bool peer_spoke(const Disposition& disposition) {
  const bool reply_kept = disposition.cause == Cause::reply || disposition.cause == Cause::tries ||
                          disposition.cause == Cause::lifetime;
  return reply_kept && disposition.reply.code != 0 && !disposition.host.empty();
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
  for (const FailedRecipient& failed : request.failed) {
    part += recipient_block(envelope.recipients.at(failed.index), failed);
  }
  return part;
}

}  // namespace mansio::dsn
