#include "mansio/sendmail_message.h"

#include <algorithm>

#include "base/text.h"
#include "message/address_list.h"
#include "message/submission.h"
#include "message/xtext.h"

namespace mansio::cli {
namespace {

Address address_of(std::string text, const std::string& domain, SendmailExit status) {
  if (text.starts_with('<') && text.ends_with('>')) text = text.substr(1, text.size() - 2);
  // A quoted local part may hold an @; only what is behind the last quote counts.
  const std::size_t quote = text.rfind('"');
  if (text.find('@', quote == text.npos ? 0 : quote) == text.npos) text += "@" + domain;
  const auto address = Address::parse(text, true);
  if (!address || address->local.empty() || address->domain.empty()) {
    throw SendmailFailure(status, "not an address: " + escape(text));
  }
  return *address;
}

bool has_control_octets(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
  });
}

void add_recipient(Envelope& envelope, const Address& address) {
  const bool there = std::any_of(envelope.recipients.begin(), envelope.recipients.end(),
                                 [&](const Recipient& other) { return other.address == address; });
  if (there) return;
  Recipient& recipient = envelope.recipients.emplace_back();
  recipient.address = recipient.original = address;
}

/// To, Cc and Bcc; of a message that was sent on, its Resent fields instead (RFC 5322 §3.6.6).
void add_header_recipients(Envelope& envelope, const std::vector<HeaderField>& fields,
                           const std::string& domain) {
  const auto is_resent = [](const HeaderField& field) {
    return field.is("Resent-To") || field.is("Resent-Cc") || field.is("Resent-Bcc");
  };
  const auto is_plain = [](const HeaderField& field) {
    return field.is("To") || field.is("Cc") || field.is("Bcc");
  };
  const bool resent = std::any_of(fields.begin(), fields.end(), is_resent);
  for (const HeaderField& field : fields) {
    if (!(resent ? is_resent(field) : is_plain(field))) continue;
    const AddressList list = parse_address_list(field.body);
    if (!list.not_understood.empty()) {
      throw SendmailFailure(
          ex_dataerr, std::string(field.name) + ": not an address: " + escape(list.not_understood));
    }
    for (const std::string& text : list.addresses) {
      add_recipient(envelope, address_of(text, domain, ex_dataerr));
    }
  }
}

/// What a mailbox file puts before a message is not part of it.
std::string_view without_mailbox_line(std::string_view input) {
  if (!input.starts_with("From ") && !input.starts_with(">From ")) return input;
  const std::size_t end = input.find('\n');
  return end == input.npos ? std::string_view() : input.substr(end + 1);
}

DsnNotify notify_of(const std::string& text) {
  DsnNotify notify;
  notify.present = !text.empty();
  for (const std::string_view word : split(text, ',')) {
    notify.never = notify.never || word == "never";
    notify.success = notify.success || word == "success";
    notify.failure = notify.failure || word == "failure";
    notify.delay = notify.delay || word == "delay";
  }
  return notify;
}

}  // namespace

Composed compose(const SendmailOptions& options, const Submitter& submitter, std::string_view input,
                 const std::string& unique, Time now) {
  Composed result;
  Envelope& envelope = result.envelope;
  // The daemon takes none (RFC 5321 §4.5.2), and from the maildrop it could not say so.
  if (input.find('\0') != input.npos) {
    throw SendmailFailure(ex_dataerr, "the message holds a NUL octet");
  }
  const std::string text = to_network_lines(without_mailbox_line(input));
  for (const std::string& word : options.recipients) {
    const AddressList list = parse_address_list(word);
    // Nobody folds an argument: a line end in it was smuggled in.
    if (has_control_octets(word) || !list.not_understood.empty() || list.addresses.empty()) {
      throw SendmailFailure(ex_usage, "not an address: " + escape(word));
    }
    for (const std::string& each : list.addresses) {
      add_recipient(envelope, address_of(each, submitter.domain, ex_usage));
    }
  }
  if (options.recipients_from_header) {
    add_header_recipients(envelope, header_fields(text), submitter.domain);
  }
  if (envelope.recipients.empty()) {
    throw options.recipients_from_header
        ? SendmailFailure(ex_dataerr, "the message names no recipient in To, Cc or Bcc")
        : SendmailFailure(ex_usage, "no recipient; -t takes them from the message");
  }

  const std::string own = submitter.user + "@" + submitter.domain;
  if (!options.sender || !options.sender->empty()) {
    envelope.reverse_path = address_of(options.sender.value_or(own), submitter.domain, ex_usage);
  }
  const std::string& name =
      options.full_name.empty() && !options.sender ? submitter.full_name : options.full_name;
  MissingFields missing;
  missing.from =
      mailbox_text(name, envelope.reverse_path.is_null() ? own : envelope.reverse_path.to_string());
  missing.message_id = unique + "@" + submitter.domain;
  missing.now = now;
  result.content = completed(text, missing);

  const DsnNotify notify = notify_of(options.notify);
  for (Recipient& recipient : envelope.recipients) {
    recipient.notify = notify;
    envelope.smtputf8 = envelope.smtputf8 || recipient.address.needs_utf8();
  }
  envelope.smtputf8 = envelope.smtputf8 || envelope.reverse_path.needs_utf8();
  if (options.dsn_return == "full") envelope.dsn_return = DsnReturn::full;
  if (options.dsn_return == "hdrs") envelope.dsn_return = DsnReturn::headers;
  if (!options.envelope_id.empty()) envelope.envelope_id = to_xtext(options.envelope_id);
  const bool eight_bit = std::any_of(result.content.begin(), result.content.end(),
                                     [](char c) { return static_cast<unsigned char>(c) > 127; });
  if (eight_bit) envelope.body = BodyType::eight_bit_mime;
  return result;
}

}  // namespace mansio::cli
