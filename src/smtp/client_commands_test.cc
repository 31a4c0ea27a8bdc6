#include "smtp/client_commands.h"

#include <gtest/gtest.h>

#include <string>

#include "smtp/client_extensions.h"

namespace mansio::smtp {
namespace {

Extensions everything() {
  return parse_extensions(
      "mx greets you\nPIPELINING\n8bitmime\nSMTPUTF8\nDSN\nSTARTTLS\nSIZE 1000\n"
      "AUTH CRAM-MD5 PLAIN login\nchunking\nBinaryMime\nUNKNOWN thing");
}

TEST(ClientExtensions, AreReadWhateverTheirCaseAndNeverFromTheGreeting) {
  const Extensions offered = everything();
  EXPECT_TRUE(offered.pipelining && offered.eight_bit_mime && offered.smtputf8 && offered.dsn &&
              offered.starttls && offered.chunking && offered.binarymime && offered.auth_plain &&
              offered.auth_login);
  EXPECT_TRUE(offered.size);
  EXPECT_EQ(offered.size_max, 1000u);
  EXPECT_FALSE(parse_extensions("PIPELINING").pipelining);
  EXPECT_TRUE(parse_extensions("x\nAUTH=LOGIN").auth_login);
  EXPECT_EQ(parse_extensions("x\nSIZE").size_max, 0u);
  EXPECT_EQ(parse_extensions("x\nSIZE huge").size_max, 0u);
}

Envelope envelope() {
  Envelope result;
  result.reverse_path = Address{"s", "a.example"};
  result.dsn_return = DsnReturn::full;
  result.envelope_id = "id+2B1";
  Recipient recipient;
  recipient.address = Address{"\"a b\"", "B.example"};
  recipient.notify.present = true;
  recipient.notify.never = true;
  recipient.original_recipient = "rfc822;x@y";
  result.recipients.push_back(recipient);
  return result;
}

TEST(ClientCommands, CarryParametersOnlyWhereOffered) {
  MailFacts facts;
  facts.size = 12;
  facts.eight_bit = true;
  facts.smtputf8 = true;
  EXPECT_EQ(mail_command(envelope(), facts, everything()),
            "MAIL FROM:<s@a.example> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=id+2B1\r\n");
  EXPECT_EQ(mail_command(envelope(), facts, {}), "MAIL FROM:<s@a.example>\r\n");
  EXPECT_EQ(mail_command({}, {}, {}), "MAIL FROM:<>\r\n");
  EXPECT_EQ(rcpt_command(envelope().recipients[0], {}, everything()),
            "RCPT TO:<\"a b\"@B.example> NOTIFY=NEVER ORCPT=rfc822;x@y\r\n");
  EXPECT_EQ(rcpt_command(envelope().recipients[0], {}, {}), "RCPT TO:<\"a b\"@B.example>\r\n");
}

TEST(ClientCommands, SendALabelsWhereSmtputf8IsNotAsked_R51) {
  Envelope international;
  international.reverse_path = Address{"s", "b\u00FCcher.example"};
  Recipient recipient;
  recipient.address = Address{"r", "B\u00DCCHER.example"};
  recipient.original = recipient.address;
  MailFacts facts;
  EXPECT_EQ(mail_command(international, facts, {}), "MAIL FROM:<s@xn--bcher-kva.example>\r\n");
  EXPECT_EQ(rcpt_command(recipient, facts, {}), "RCPT TO:<r@xn--bcher-kva.example>\r\n");
  // The next hop reports on the address that the sender knows.
  EXPECT_EQ(rcpt_command(recipient, facts, everything()),
            "RCPT TO:<r@xn--bcher-kva.example> ORCPT=utf-8;r@B\\x{DC}CHER.example\r\n");
  facts.smtputf8 = true;
  EXPECT_EQ(mail_command(international, facts, everything()),
            "MAIL FROM:<s@b\u00FCcher.example> SIZE=0 SMTPUTF8\r\n");
  EXPECT_EQ(rcpt_command(recipient, facts, everything()), "RCPT TO:<r@B\u00DCCHER.example>\r\n");
}

TEST(ClientCommands, PassOrcptOnAsItCameOrInItsAsciiForm_R54) {
  Recipient recipient;
  recipient.address = recipient.original = Address{"r", "x.example"};
  recipient.original_recipient = "utf-8;\u00FC@x.example";
  MailFacts facts;
  EXPECT_EQ(rcpt_command(recipient, facts, everything()),
            "RCPT TO:<r@x.example> ORCPT=utf-8;\\x{FC}@x.example\r\n");
  facts.smtputf8 = true;
  EXPECT_EQ(rcpt_command(recipient, facts, everything()),
            "RCPT TO:<r@x.example> ORCPT=utf-8;\u00FC@x.example\r\n");
  recipient.original_recipient.clear();
  EXPECT_EQ(rcpt_command(recipient, facts, everything()), "RCPT TO:<r@x.example>\r\n");
  recipient.original = Address{"alias", "x.example"};  // a hook rewrote it
  EXPECT_EQ(rcpt_command(recipient, facts, everything()),
            "RCPT TO:<r@x.example> ORCPT=rfc822;alias@x.example\r\n");
}

TEST(ClientCommands, AnnounceBinaryContentAndItsChunks_R48) {
  MailFacts facts;
  facts.binary = true;
  facts.eight_bit = true;
  EXPECT_EQ(mail_command({}, facts, everything()), "MAIL FROM:<> SIZE=0 BODY=BINARYMIME\r\n");
  EXPECT_EQ(bdat_command(0, true), "BDAT 0 LAST\r\n");
  EXPECT_EQ(bdat_command(65536, false), "BDAT 65536\r\n");
}

TEST(ClientCommands, KnowUnsafeFields) {
  EXPECT_TRUE(is_safe_sender(envelope()));
  EXPECT_TRUE(is_safe_recipient(envelope().recipients[0]));
  for (const std::string& bad :
       {std::string("a\r\nb"), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3)}) {
    Envelope changed = envelope();
    changed.envelope_id = bad;
    EXPECT_FALSE(is_safe_sender(changed));
    changed = envelope();
    changed.reverse_path.local = bad;
    EXPECT_FALSE(is_safe_sender(changed));
    changed.recipients[0].original_recipient = bad;
    EXPECT_FALSE(is_safe_recipient(changed.recipients[0]));
  }
  Envelope spaced = envelope();
  spaced.envelope_id = "a BODY=8BITMIME";
  EXPECT_FALSE(is_safe_sender(spaced));
}

TEST(ClientCommandsDeathTest, EndTheProcessRatherThanSendBinaryUnannounced_R48) {
  MailFacts facts;
  facts.binary = true;
  EXPECT_DEATH(mail_command({}, facts, {}), "");
}

TEST(ClientCommandsDeathTest, EndTheProcessRatherThanInjectACommand) {
  EXPECT_DEATH(simple_command("EHLO", "x\r\nMAIL FROM:<>"), "");
}

TEST(ClientCommands, EncodeBase64) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64(std::string("\xff\0\xfe", 3)), "/wD+");
}

}  // namespace
}  // namespace mansio::smtp
