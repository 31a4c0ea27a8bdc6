#include "dsn/human_text.h"

#include <algorithm>

#include "dsn/delivery_status.h"
#include "dsn/mime.h"
#include "message/utf8.h"

namespace mansio::dsn {

namespace {

constexpr std::size_t indent = 4;
constexpr std::size_t reply_octets_max = 2000;
constexpr std::size_t past_reply_octets_max = 300;

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

/// Why it waits, where the last try or its destination said so.
std::string reason_of_delay(const Disposition& disposition) {
  switch (disposition.cause) {
    case Cause::network:
    case Cause::timeout:
      return "The other mail server cannot be reached at present.";
    case Cause::dns:
      return "The mail server for the domain of the recipient cannot be found at present.";
    case Cause::tls:
      return "No encrypted connection to the other mail server is possible at present.";
    case Cause::protocol:
      return "The other mail server does not follow the mail protocol.";
    case Cause::reply:
      if (disposition.reply.code != 0)
        return "The other mail server asked to be tried again later.";
      [[fallthrough]];
    default:
      return "This system could not send it yet.";
  }
}

std::string reason_of_failure(const Disposition& disposition) {
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

std::string reason(const ReportedRecipient& reported) {
  switch (reported.action) {
    case Action::failed:
      return reason_of_failure(reported.disposition);
    case Action::delayed:
      return reason_of_delay(reported.disposition);
    case Action::relayed:
      return "It was passed on to another mail server, which does not confirm delivery: no further "
             "notice of success will come.";
    case Action::delivered:
      return "It was delivered.";
  }
  return {};
}

std::string host_of(const std::string& name, const std::string& address) {
  std::string host = to_printable_line(name);
  if (!address.empty()) host += " (" + to_printable_line(address) + ')';
  return host;
}

/// Printable again after the cut, which may have split a character.
std::string printable_reply(const Reply& reply, std::size_t octets_max) {
  return to_printable_line(reply.to_string().substr(0, octets_max));
}

/// The last tries, one paragraph each; nothing if the last one is all there is.
std::string history_text(const ReportedRecipient& reported) {
  if (reported.attempts.size() < 2) return {};
  const std::size_t shown = std::min(reported.attempts.size(), attempts_shown);
  std::string text = wrapped("The last " + std::to_string(shown) + " tries:", indent);
  for (std::size_t i = reported.attempts.size() - shown; i < reported.attempts.size(); ++i) {
    const PastAttempt& attempt = reported.attempts[i];
    std::string line = to_rfc5322(attempt.at);
    if (!attempt.host.empty()) line += ", " + host_of(attempt.host, attempt.address);
    const std::string reply = printable_reply(attempt.reply, past_reply_octets_max);
    if (!reply.empty()) line += ": " + reply;
    text += wrapped(line, 2 * indent);
  }
  return text;
}

std::string recipient_text(const NoticeRequest& request, const ReportedRecipient& reported) {
  const Recipient& recipient = request.original.envelope.recipients.at(reported.index);
  const Disposition& disposition = reported.disposition;
  const Address& address = recipient.original.is_null() ? recipient.address : recipient.original;
  std::string text = '<' + to_printable_line(address.to_string()) + ">\r\n";
  text += wrapped(reason(reported), indent);
  const std::string reply = printable_reply(disposition.reply, reply_octets_max);
  if (peer_spoke(disposition)) {
    text += wrapped("The server " + host_of(disposition.host, disposition.address) + " answered " +
                        std::string(said_to(disposition.stage)) + ':',
                    indent);
    text += wrapped(reply, 2 * indent);
  } else if (!reply.empty()) {
    text += wrapped("What was found:", indent);
    text += wrapped(reply, 2 * indent);
  }
  if (reported.last_attempt != Time{}) {
    const std::string tries =
        reported.tries == 1 ? "1 try" : std::to_string(reported.tries) + " tries";
    text += wrapped(tries + ", the last at " + to_rfc5322(reported.last_attempt) + '.', indent);
  } else if (reported.action == Action::delayed) {
    text += wrapped("There was no try yet.", indent);
  }
  text += history_text(reported);
  if (reported.action == Action::failed) text += wrapped(advice(disposition), indent);
  return text += "\r\n";
}

/// What all recipients with this action have in common.
std::string introduction(const NoticeRequest& request, Action action) {
  switch (request.audience) {
    case Audience::sender:
      break;
    case Audience::postmaster:
      return "A message of <" +
             to_printable_line(request.original.envelope.reverse_path.to_string()) +
             "> could not be delivered to the recipients named below. Its sender is told; this is "
             "the copy for the postmaster.";
    case Audience::double_bounce:
      return "A notice of this system could not be delivered to the sender of a message, who is "
             "named below. Nobody else is told.";
  }
  switch (action) {
    case Action::failed:
      return "Your message could not be delivered to the recipients named below, and no further "
             "try will be made for them.";
    case Action::delayed:
      return "Your message was not delivered yet to the recipients named below. You need not send "
             "it again: this system keeps trying until " +
             to_rfc5322(request.original.expires_at) + '.';
    case Action::relayed:
      return "Your message was passed on for the recipients named below.";
    case Action::delivered:
      return "Your message was delivered to the recipients named below.";
  }
  return {};
}

}  // namespace

std::string human_text(const NoticeRequest& request) {
  const Message& original = request.original;
  const bool to_sender = request.audience == Audience::sender;
  std::string text = wrapped("This is the mail system at " + request.hostname + '.', 0);
  text += "\r\n";
  const std::string subject = to_printable_line(original.content.facts.subject);
  if (!subject.empty()) text += wrapped("Subject: " + subject, indent);
  text += wrapped("Accepted: " + to_rfc5322(original.accepted_at), indent);
  text += wrapped("Queue id: " + original.id.to_string(), indent);
  text += "\r\n";
  for (const Action action :
       {Action::failed, Action::delayed, Action::relayed, Action::delivered}) {
    bool introduced = false;
    for (const ReportedRecipient& reported : request.recipients) {
      if (reported.action != action) continue;
      if (!introduced) text += wrapped(introduction(request, action), 0) + "\r\n";
      introduced = true;
      text += recipient_text(request, reported);
    }
  }
  if (to_sender) {
    text += wrapped("Recipients who are not named here are not concerned.", 0) + "\r\n";
  }
  const std::string whose = to_sender ? "your message" : "the message";
  switch (request.returned) {
    case Returned::nothing:
      break;
    case Returned::headers:
      text += wrapped("The header of " + whose + " is attached.", 0);
      break;
    case Returned::full:
      text += wrapped("The whole of " + whose + " is attached.", 0);
      break;
  }
  return text;
}

}  // namespace mansio::dsn
