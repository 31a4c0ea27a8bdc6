#include "smtp/client_commands.h"

#include <gtest/gtest.h>

#include <string>

#include "smtp/client_extensions.h"

namespace mansio::smtp {
namespace {

Extensions everything() {
  return parse_extensions(
      "mx greets you\nPIPELINING\n8bitmime\nSMTPUTF8\nDSN\nSTARTTLS\nSIZE 1000\n"
      "AUTH CRAM-MD5 PLAIN login\nUNKNOWN thing");
}

TEST(ClientExtensions, AreReadWhateverTheirCaseAndNeverFromTheGreeting) {
  const Extensions offered = everything();
  EXPECT_TRUE(offered.pipelining && offered.eight_bit_mime && offered.smtputf8 && offered.dsn &&
              offered.starttls && offered.auth_plain && offered.auth_login);
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
  EXPECT_EQ(rcpt_command(envelope().recipients[0], everything()),
            "RCPT TO:<\"a b\"@B.example> NOTIFY=NEVER ORCPT=rfc822;x@y\r\n");
  EXPECT_EQ(rcpt_command(envelope().recipients[0], {}), "RCPT TO:<\"a b\"@B.example>\r\n");
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
