#include "delivery/message_form.h"

#include <utility>

#include "delivery/body_sources.h"
#include "message/reencode.h"
#include "message/utf8.h"

namespace mansio::delivery {
namespace {

bool has_ascii_form(const Address& address) {
  return !address.needs_utf8() || ascii_address(address).has_value();
}

Event refusal(std::uint16_t code, EnhancedCode enhanced, std::string text) {
  Event event;
  event.stage = Stage::mail;
  event.cause = Cause::extension;
  event.reply.code = code;
  event.reply.enhanced = enhanced;
  event.reply.text = std::move(text);
  return event;
}

Event unreadable(const ErrorCode& error) {
  Event event;
  event.stage = Stage::local;
  event.cause = Cause::local;
  event.reply.code = 451;
  event.reply.enhanced = {4, 3, 0};
  event.reply.text = "the content cannot be read: " + error.message();
  return event;
}

Event not_converted(const MessageForm& form, const std::string& why) {
  const std::string what = form.to_text ? "binary" : "8-bit";
  return refusal(
      554, {5, 6, 3},
      "the host does not take " + what + " content, and the message cannot be converted: " + why);
}

}  // namespace

bool needs_smtputf8(const Message& message) {
  const Envelope& envelope = message.envelope;
  return !has_ascii_form(envelope.reverse_path) ||
         (envelope.smtputf8 && message.content.facts.has_8bit_header);
}

bool can_be_named(const Address& recipient, const smtp::Extensions& offered) {
  return offered.smtputf8 || has_ascii_form(recipient);
}

Event lacks_smtputf8(const char* what) {
  return refusal(553, {5, 6, 7},
                 std::string("the host does not support SMTPUTF8, which ") + what + " needs");
}

MessageForm form_for(const Message& message, const smtp::Extensions& offered,
                     std::uint64_t conversion_max) {
  MessageForm form;
  const Envelope& envelope = message.envelope;
  const ContentFacts& facts = message.content.facts;
  const bool eight_bit = facts.has_8bit_body || facts.has_8bit_header;
  form.facts.size = facts.size;
  form.facts.eight_bit = eight_bit;
  // 8-bit parts of mail that came with SMTPUTF8 may be headers of messages inside.
  form.facts.smtputf8 =
      offered.smtputf8 && (needs_smtputf8(message) || envelope.reverse_path.needs_utf8() ||
                           (envelope.smtputf8 && eight_bit));
  if (needs_smtputf8(message) && !offered.smtputf8) {
    form.failure = lacks_smtputf8("this message");
    return form;
  }
  const bool binary = envelope.body == BodyType::binary_mime;
  form.facts.binary = binary && offered.chunking && offered.binarymime;
  form.to_text = binary && !form.facts.binary;
  form.to_seven_bit = eight_bit && !offered.eight_bit_mime && !form.facts.binary;
  if (form.needs_conversion() && facts.size > conversion_max) {
    form.failure = not_converted(form, "it is too large to be converted");
  }
  return form;
}

Task<void> convert(MessageForm& form, const Message& message, ContentReader& content) {
  const auto octets = co_await read_all(content, message.content.facts.size);
  if (!octets) {
    form.failure = unreadable(octets.error());
    co_return;
  }
  std::string why;
  std::optional<std::string> changed =
      form.to_text ? to_text(**octets, form.to_seven_bit, why) : to_seven_bit(**octets, why);
  if (!changed) {
    form.failure = not_converted(form, why);
    co_return;
  }
  form.converted = std::make_shared<const std::string>(std::move(*changed));
  form.facts.size = form.converted->size();
  form.facts.eight_bit = form.facts.eight_bit && !form.to_seven_bit;
}

}  // namespace mansio::delivery
