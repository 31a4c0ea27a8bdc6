// How a notice is put together:
//   1. a text for people, UTF-8 in 7 bits (human_text.h);
//   2. the report for programs (delivery_status.h);
//   3. what the sender gets back: the header section (RFC 6522 §4) or the whole message.
// Everything but a whole 8-bit original is 7-bit, so that a notice needs nothing of the hosts that
// carry it; only a notice whose reader has an internationalised address has the forms of RFC 6533,
// since it cannot travel without SMTPUTF8 anyway. Octets of peers and of the original enter only
// through mime.h, which keeps them from starting a line, a field or a part of their own.
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

/// Line ends as mail has them, whatever a site's text has.
std::string with_crlf(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    if (text[i] == '\n') out += '\r';
    out += text[i];
  }
  return out;
}

std::string_view subject_of(const NoticeRequest& request) {
  if (request.audience == Audience::double_bounce) {
    return "Undelivered notice: its sender could not be told";
  }
  const bool copy = request.audience == Audience::postmaster;
  const auto has = [&request](Action action) {
    return std::ranges::any_of(request.recipients, [action](const ReportedRecipient& recipient) {
      return recipient.action == action;
    });
  };
  const bool arrived = has(Action::relayed) || has(Action::delivered);
  if (has(Action::failed)) {
    if (copy) return "Postmaster copy: delivery failed";
    return arrived || has(Action::delayed) ? "Delivery report: not all recipients got your message"
                                           : "Delivery failed: your message was not delivered";
  }
  if (has(Action::delayed)) return "Delivery delayed: your message is still being tried";
  return has(Action::delivered) ? "Delivery report: your message was delivered"
                                : "Delivery report: your message was passed on";
}

class DeliveryStatusBuilder final : public BounceBuilder {
 public:
  explicit DeliveryStatusBuilder(HumanText text) : text_(std::move(text)) {}

  std::optional<Notice> build(const NoticeRequest& request) const override {
    MANSIO_ASSERT(!request.recipients.empty());
    Notice notice;
    Message& message = notice.message;
    message.id = request.id;
    message.accepted_at = request.now;
    message.expires_at = request.now + request.lifetime;
    message.tenant = request.original.tenant;
    message.is_notice = true;
    message.envelope = envelope(request);

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
  static Envelope envelope(const NoticeRequest& request) {
    Envelope envelope;
    Recipient reader;
    reader.address = request.to;
    reader.original = reader.address;
    reader.notify.present = true;
    reader.notify.never = true;
    envelope.smtputf8 = is_international(request);
    envelope.recipients.push_back(std::move(reader));
    envelope.origin.protocol = "notice";
    return envelope;
  }

  std::string content(const NoticeRequest& request) const {
    const std::string boundary = boundary_for(request);
    const std::string text = text_ ? with_crlf(text_(request)) : human_text(request);
    std::string out = header(request, boundary);
    out += "This is a delivery report in MIME format.\r\n\r\n";
    out += text_part(boundary, "text/plain; charset=utf-8", "Notice", text);
    const std::string status = delivery_status(request);
    out += part(
        boundary,
        is_international(request) ? "message/global-delivery-status" : "message/delivery-status",
        "Delivery report", is_seven_bit(status) ? "7bit" : "8bit", status);
    out += returned(request, boundary);
    return out += "--" + boundary + "--\r\n";
  }

  static std::string header(const NoticeRequest& request, const std::string& boundary) {
    // RFC 6522 §3: the subtype of the second part.
    const std::string type =
        is_international(request) ? "global-delivery-status" : "delivery-status";
    std::string out = header_field("Date", to_rfc5322(request.now));
    out += header_field("From", "Mail Delivery System <MAILER-DAEMON@" + request.hostname + '>');
    out += header_field("To", '<' + request.to.to_string() + '>');
    out += header_field("Subject", subject_of(request));
    out += header_field("Message-ID", '<' + request.id.to_string() + '@' + request.hostname + '>');
    out += header_field("Auto-Submitted", "auto-replied");
    out += header_field("MIME-Version", "1.0");
    out += header_field("Content-Type",
                        "multipart/report; report-type=" + type + "; boundary=\"" + boundary + '"');
    return out += "\r\n";
  }

  static std::string returned(const NoticeRequest& request, const std::string& boundary) {
    const bool utf8 =
        request.original.envelope.smtputf8 && request.original.content.facts.has_8bit_header;
    switch (request.returned) {
      case Returned::nothing:
        return {};
      case Returned::headers: {
        const std::string header = header_section(request);
        if (!utf8) {
          return text_part(boundary, "text/rfc822-headers", "Your message's header", header);
        }
        const std::string_view type = "message/global-headers";
        const bool travels = request.original.content.facts.longest_line <= 998 &&
                             header.find('\0') == std::string::npos;
        if (is_international(request) && travels) {
          return part(boundary, type, "Your message's header", "8bit", header);
        }
        return text_part(boundary, type, "Your message's header", header);
      }
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

  HumanText text_;
};

}  // namespace

bool is_international(const NoticeRequest& request) { return request.to.needs_utf8(); }

std::unique_ptr<BounceBuilder> make_bounce_builder(HumanText text) {
  return std::make_unique<DeliveryStatusBuilder>(std::move(text));
}

}  // namespace mansio::dsn
