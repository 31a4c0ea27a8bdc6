#include "dsn/human_text.h"

#include <algorithm>

#include "dsn/delivery_status.h"
#include "dsn/mime.h"
#include "message/utf8.h"

namespace mansio::dsn {

namespace {

constexpr std::size_t indent = 4;
constexpr std::size_t reply_octets_max = 2000;

/// What the peer was answering to.
std::string_view said_to(Stage stage) {
  switch (stage) {
    case Stage::connect:
    case Stage::greeting:
      return "when we connected";
    case Stage::ehlo:
      return "to our greeting";
    case Stage::starttls:
      return "to the start of encryption";
    case Stage::auth:
      return "to our login";
    case Stage::mail:
      return "to the address of the sender";
    case Stage::rcpt:
      return "to the address of the recipient";
    case Stage::data:
    case Stage::body:
      return "when the message was to be sent";
    case Stage::final_dot:
      return "after the message was sent";
    default:
      return "during delivery";
  }
}

std::string reason(const Disposition& disposition) {
  if (disposition.cause == Cause::operator_)
    return "An administrator of this system ended its delivery.";
  if (disposition.outcome == Outcome::expired || disposition.cause == Cause::lifetime) {
    return "It could not be delivered in the time that this system keeps trying.";
  }
  if (disposition.cause == Cause::tries) {
    return "It could not be delivered in the number of tries that this system makes.";
  }
  switch (disposition.cause) {
    case Cause::reply:
      return "The other mail server refused it for good.";
    case Cause::network:
    case Cause::timeout:
      return "The other mail server could not be reached.";
    case Cause::protocol:
      return "The other mail server did not follow the mail protocol.";
    case Cause::dns:
      return "No mail server was found for the domain of the recipient.";
    case Cause::tls:
      return "No encrypted connection to the other mail server was possible.";
    case Cause::extension:
      return "The other mail server cannot take a message of this kind.";
    default:
      return "The rules of this system do not allow its delivery.";
  }
}

/// Advice by the meaning of the enhanced code (RFC 3463 §3), which is about classes of trouble.
std::string_view advice(const Disposition& disposition) {
  const EnhancedCode status = status_of(disposition);
  if (disposition.cause == Cause::operator_) return "Ask your administrator for the reason.";
  if (status.subject == 1 && status.detail != 7 && status.detail != 8) {
    return "Check the spelling of the address. If it is right, the mailbox is gone: ask the "
           "recipient for the present address in another way.";
  }
  if (status.subject == 2 && status.detail == 2) {
    return "The mailbox is full. Let the recipient know in another way, or send the message again "
           "later.";
  }
  if (status.subject == 3 && status.detail == 4) {
    return "The message is too big for the recipient's system: send a smaller one.";
  }
  if (status.subject == 7) {
    return "The recipient's system does not want this message. Its answer above may say why; show "
           "it to your administrator, or reach the recipient in another way.";
  }
  if (status.subject == 4) {
    return "The recipient's system may be out of order. Send the message again later, or reach the "
           "recipient in another way.";
  }
  return "If the answer above does not help you, show this notice to your administrator.";
}

std::string recipient_text(const Recipient& recipient, const FailedRecipient& failed) {
  const Disposition& disposition = failed.disposition;
  const Address& address = recipient.original.is_null() ? recipient.address : recipient.original;
  std::string text = '<' + to_printable_line(address.to_string()) + ">\r\n";
  text += wrapped(reason(disposition), indent);
  // Printable again, since the cut may have split a character.
  const std::string reply =
      to_printable_line(disposition.reply.to_string().substr(0, reply_octets_max));
  if (peer_spoke(disposition)) {
    std::string host = to_printable_line(disposition.host);
    if (!disposition.address.empty()) host += " (" + to_printable_line(disposition.address) + ')';
    text +=
        wrapped("The server " + host + " answered " + std::string(said_to(disposition.stage)) + ':',
                indent);
    text += wrapped(reply, 2 * indent);
  } else if (!reply.empty()) {
    text += wrapped("What was found:", indent);
    text += wrapped(reply, 2 * indent);
  }
  if (failed.last_attempt != Time{}) {
    const std::string tries = failed.tries == 1 ? "1 try" : std::to_string(failed.tries) + " tries";
    text += wrapped(tries + ", the last at " + to_rfc5322(failed.last_attempt) + '.', indent);
  }
  text += wrapped(advice(disposition), indent);
  return text += "\r\n";
}

}  // namespace

std::string human_text(const NoticeRequest& request) {
  const Message& original = request.original;
  std::string text = wrapped("This is the mail system at " + request.hostname + '.', 0);
  text += "\r\n";
  text += wrapped(
      "Your message could not be delivered to the recipients named below, and no further try will "
      "be "
      "made for them. Recipients who are not named here are not concerned.",
      0);
  text += "\r\n";
  const std::string subject = to_printable_line(original.content.facts.subject);
  if (!subject.empty()) text += wrapped("Subject: " + subject, indent);
  text += wrapped("Accepted: " + to_rfc5322(original.accepted_at), indent);
  text += wrapped("Queue id: " + original.id.to_string(), indent);
  text += "\r\n";
  for (const FailedRecipient& failed : request.failed) {
    text += recipient_text(original.envelope.recipients.at(failed.index), failed);
  }
  switch (request.returned) {
    case Returned::nothing:
      break;
    case Returned::headers:
      text += wrapped("The header of your message is attached.", 0);
      break;
    case Returned::full:
      text += wrapped("Your message is attached.", 0);
      break;
  }
  return text;
}

}  // namespace mansio::dsn
