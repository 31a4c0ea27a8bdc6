#include "smtp/client_commands.h"

#include "base/assert.h"

namespace mansio::smtp {
namespace {

std::string finish_line(std::string line) {
  MANSIO_ASSERT(is_safe_field(line));
  line += "\r\n";
  return line;
}

std::string notify_words(const DsnNotify& notify) {
  if (notify.never) return "NEVER";
  std::string words;
  const auto add = [&words](bool wanted, const char* word) {
    if (!wanted) return;
    if (!words.empty()) words += ',';
    words += word;
  };
  add(notify.success, "SUCCESS");
  add(notify.failure, "FAILURE");
  add(notify.delay, "DELAY");
  return words;
}

}  // namespace

bool is_safe_field(std::string_view field) {
  for (const char c : field) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) return false;
  }
  return true;
}

bool is_safe_sender(const Envelope& envelope) {
  return is_safe_field(envelope.reverse_path.to_string()) && is_safe_field(envelope.envelope_id) &&
         envelope.envelope_id.find(' ') == std::string::npos;
}

bool is_safe_recipient(const Recipient& recipient) {
  return is_safe_field(recipient.address.to_string()) &&
         is_safe_field(recipient.original_recipient) &&
         recipient.original_recipient.find(' ') == std::string::npos;
}

std::string mail_command(const Envelope& envelope, const MailFacts& facts,
                         const Extensions& offered) {
  std::string line = "MAIL FROM:<" + envelope.reverse_path.to_string() + ">";
  if (offered.size) line += " SIZE=" + std::to_string(facts.size);
  if (facts.eight_bit && offered.eight_bit_mime) line += " BODY=8BITMIME";
  if (facts.smtputf8 && offered.smtputf8) line += " SMTPUTF8";
  if (offered.dsn) {
    if (envelope.dsn_return == DsnReturn::full) line += " RET=FULL";
    if (envelope.dsn_return == DsnReturn::headers) line += " RET=HDRS";
    if (!envelope.envelope_id.empty()) line += " ENVID=" + envelope.envelope_id;
  }
  return finish_line(std::move(line));
}

std::string rcpt_command(const Recipient& recipient, const Extensions& offered) {
  std::string line = "RCPT TO:<" + recipient.address.to_string() + ">";
  if (offered.dsn) {
    const std::string words = recipient.notify.present ? notify_words(recipient.notify) : "";
    if (!words.empty()) line += " NOTIFY=" + words;
    if (!recipient.original_recipient.empty()) line += " ORCPT=" + recipient.original_recipient;
  }
  return finish_line(std::move(line));
}

std::string simple_command(std::string_view verb, std::string_view argument) {
  std::string line(verb);
  if (!argument.empty()) {
    line += ' ';
    line += argument;
  }
  return finish_line(std::move(line));
}

std::string base64(std::string_view octets) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t left = octets.size() - i;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < left ? static_cast<unsigned char>(octets[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += j <= left ? alphabet[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return out;
}

}  // namespace mansio::smtp
