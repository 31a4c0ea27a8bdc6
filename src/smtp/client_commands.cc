#include "smtp/client_commands.h"

#include "base/assert.h"
#include "message/original_recipient.h"

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

std::string path_of(const Address& address, bool utf8) {
  if (utf8 || !address.needs_utf8()) return address.to_string();
  const std::optional<Address> ascii = ascii_address(address);
  MANSIO_ASSERT(ascii.has_value());
  return ascii->to_string();
}

/// The ORCPT to send for a recipient that leaves as `path`; empty: none.
std::string original_of(const Recipient& recipient, const std::string& path, bool utf8) {
  if (!recipient.original_recipient.empty()) {
    return utf8 ? recipient.original_recipient
                : ascii_original_recipient(recipient.original_recipient);
  }
  const Address& came = recipient.original.is_null() ? recipient.address : recipient.original;
  return came.to_string() == path ? std::string() : original_recipient_of(came);
}

}  // namespace

bool is_safe_field(std::string_view field) {
  for (const char c : field) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet == 0x7f) return false;
  }
  return true;
}

namespace {

bool is_safe_address(const Address& address) {
  return is_safe_field(address.local) && is_safe_field(address.domain);
}

}  // namespace

bool is_safe_sender(const Envelope& envelope) {
  return is_safe_address(envelope.reverse_path) && is_safe_field(envelope.envelope_id) &&
         envelope.envelope_id.find(' ') == std::string::npos;
}

bool is_safe_recipient(const Recipient& recipient) {
  return is_safe_address(recipient.address) && is_safe_address(recipient.original) &&
         is_safe_field(recipient.original_recipient) &&
         recipient.original_recipient.find(' ') == std::string::npos;
}

std::string mail_command(const Envelope& envelope, const MailFacts& facts,
                         const Extensions& offered) {
  const bool utf8 = facts.smtputf8 && offered.smtputf8;
  std::string line = "MAIL FROM:<" + path_of(envelope.reverse_path, utf8) + ">";
  if (offered.size) line += " SIZE=" + std::to_string(facts.size);
  if (facts.binary) {
    MANSIO_ASSERT(offered.chunking && offered.binarymime);
    line += " BODY=BINARYMIME";
  } else if (facts.eight_bit && offered.eight_bit_mime) {
    line += " BODY=8BITMIME";
  }
  if (utf8) line += " SMTPUTF8";
  if (offered.dsn) {
    if (envelope.dsn_return == DsnReturn::full) line += " RET=FULL";
    if (envelope.dsn_return == DsnReturn::headers) line += " RET=HDRS";
    if (!envelope.envelope_id.empty()) line += " ENVID=" + envelope.envelope_id;
  }
  return finish_line(std::move(line));
}

std::string rcpt_command(const Recipient& recipient, const MailFacts& facts,
                         const Extensions& offered) {
  const bool utf8 = facts.smtputf8 && offered.smtputf8;
  const std::string path = path_of(recipient.address, utf8);
  std::string line = "RCPT TO:<" + path + ">";
  if (offered.dsn) {
    const std::string words = recipient.notify.present ? notify_words(recipient.notify) : "";
    if (!words.empty()) line += " NOTIFY=" + words;
    const std::string original = original_of(recipient, path, utf8);
    if (!original.empty()) line += " ORCPT=" + original;
  }
  return finish_line(std::move(line));
}

std::string bdat_command(std::size_t octets, bool last) {
  return simple_command("BDAT", std::to_string(octets) + (last ? " LAST" : ""));
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
