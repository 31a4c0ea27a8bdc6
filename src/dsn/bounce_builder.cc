// How a notice is put together:
//   1. a text for people, UTF-8 in 7 bits (human_text.h);
//   2. the report for programs (delivery_status.h);
//   3. what the sender gets back: the header section (RFC 6522 §4) or the whole message.
// Everything but a whole 8-bit original is 7-bit, so that a notice needs nothing of the hosts that
// carry it. Octets of peers and of the original enter only through mime.h, which keeps them from
// starting a line, a field or a part of their own.
#include "dsn/bounce_builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "dsn/delivery_status.h"
#include "dsn/human_text.h"
#include "dsn/mime.h"
#include "message/transfer_encoding.h"

namespace mansio::dsn {

namespace {

std::string part(const std::string& boundary, std::string_view type, std::string_view description,
                 std::string_view encoding, const std::string& body) {
  std::string out = "--" + boundary + "\r\n";
  out += header_field("Content-Type", type);
  out += header_field("Content-Description", description);
  out += header_field("Content-Transfer-Encoding", encoding);
  out += "\r\n";
  out += body;
  return out += "\r\n";
}

/// A text part whose octets are made 7-bit where they are not.
std::string text_part(const std::string& boundary, std::string_view type,
                      std::string_view description, const std::string& body) {
  if (is_seven_bit(body)) return part(boundary, type, description, "7bit", body);
  return part(boundary, type, description, "quoted-printable", quoted_printable(body));
}

/// The header section without the empty line after it, cut at the end of a line.
std::string header_section(const NoticeRequest& request) {
  const std::uint64_t header = request.original.content.facts.header_size;
  std::string_view octets =
      request.octets.substr(0, std::min<std::uint64_t>(header, request.octets.size()));
  if (octets.size() > request.return_max) {
    octets = octets.substr(0, request.return_max);
    const std::size_t line_end = octets.rfind("\r\n");
    octets = octets.substr(0, line_end == std::string_view::npos ? 0 : line_end + 2);
  }
  if (octets.ends_with("\r\n\r\n")) octets.remove_suffix(2);
  if (octets == "\r\n") return {};
  return std::string(octets);
}

bool has_eight_bit(std::string_view octets) {
  return std::any_of(octets.begin(), octets.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

class DeliveryStatusBuilder final : public BounceBuilder {
 public:
  std::optional<Notice> build(const NoticeRequest& request) const override {
    MANSIO_ASSERT(!request.failed.empty());
    Notice notice;
    Message& message = notice.message;
    message.id = request.id;
    message.accepted_at = request.now;
    message.expires_at = request.now + request.lifetime;
    message.tenant = request.original.tenant;
    message.is_notice = true;
    message.envelope = envelope(request.original);

    auto octets = std::make_shared<std::string>(content(request));
    ContentScanner scanner;
    scanner.feed(*octets);
    message.content.id = request.id;
    message.content.facts = scanner.finish();
    if (message.content.facts.has_8bit_body) message.envelope.body = BodyType::eight_bit_mime;
    message.content.octets = std::move(octets);
    return notice;
  }

 private:
  static Envelope envelope(const Message& original) {
    Envelope envelope;
    Recipient sender;
    sender.address = original.envelope.reverse_path;
    sender.original = sender.address;
    sender.notify.present = true;
    sender.notify.never = true;
    envelope.smtputf8 = sender.address.needs_utf8();
    envelope.recipients.push_back(std::move(sender));
    envelope.origin.protocol = "notice";
    return envelope;
  }

  static std::string content(const NoticeRequest& request) {
    const std::string boundary = boundary_for(request);
    std::string out = header(request, boundary);
    out += "This is a delivery report in MIME format.\r\n\r\n";
    out += text_part(boundary, "text/plain; charset=utf-8", "Notice", human_text(request));
    out += part(boundary, "message/delivery-status", "Delivery report", "7bit",
                delivery_status(request));
    out += returned(request, boundary);
    return out += "--" + boundary + "--\r\n";
  }

  static std::string header(const NoticeRequest& request, const std::string& boundary) {
    const std::string sender = request.original.envelope.reverse_path.to_string();
    std::string out = header_field("Date", to_rfc5322(request.now));
    out += header_field("From", "Mail Delivery System <MAILER-DAEMON@" + request.hostname + '>');
    out += header_field("To", '<' + sender + '>');
    out += header_field("Subject", "Delivery failed: your message was not delivered");
    out += header_field("Message-ID", '<' + request.id.to_string() + '@' + request.hostname + '>');
    out += header_field("Auto-Submitted", "auto-replied");
    out += header_field("MIME-Version", "1.0");
    out +=
        header_field("Content-Type",
                     "multipart/report; report-type=delivery-status; boundary=\"" + boundary + '"');
    return out += "\r\n";
  }

  static std::string returned(const NoticeRequest& request, const std::string& boundary) {
    const bool utf8 =
        request.original.envelope.smtputf8 && request.original.content.facts.has_8bit_header;
    switch (request.returned) {
      case Returned::nothing:
        return {};
      case Returned::headers:
        return text_part(boundary, utf8 ? "message/global-headers" : "text/rfc822-headers",
                         "Your message's header", header_section(request));
      case Returned::full: {
        // MIME forbids any other encoding of a message inside a message (RFC 2046 §5.2.1).
        const std::string_view encoding = has_eight_bit(request.octets) ? "8bit" : "7bit";
        return part(boundary, utf8 ? "message/global" : "message/rfc822", "Your message", encoding,
                    std::string(request.octets));
      }
    }
    return {};
  }

  /// Unguessable, and still checked against what it has to separate.
  static std::string boundary_for(const NoticeRequest& request) {
    std::string boundary = fmt::format("mansio-{}-{:016x}", request.id.to_string(), request.random);
    while (request.octets.find(boundary) != std::string_view::npos) boundary += '_';
    return boundary;
  }
};

}  // namespace

bool notice_wanted(const Message& original, const DsnNotify& notify) {
  if (original.envelope.reverse_path.is_null() || original.is_notice) return false;
  return notify.wants_failure();
}

Returned returned_part(const Message& original, Returned fallback, std::uint64_t return_max) {
  Returned wanted = fallback;
  switch (original.envelope.dsn_return) {
    case DsnReturn::unspecified:
      break;
    case DsnReturn::full:
      wanted = Returned::full;
      break;
    case DsnReturn::headers:
      wanted = Returned::headers;
      break;
  }
  if (wanted == Returned::full && original.content.facts.size > return_max)
    return Returned::headers;
  return wanted;
}

std::unique_ptr<BounceBuilder> make_bounce_builder() {
  return std::make_unique<DeliveryStatusBuilder>();
}

}  // namespace mansio::dsn
