#include "smtp/command.h"

#include <gtest/gtest.h>

namespace mansio::smtp {
namespace {

std::string refusal_of_mail(std::string_view argument) {
  const auto parsed = parse_mail(argument);
  const auto* reply = std::get_if<Reply>(&parsed);
  return reply == nullptr ? "ok" : std::to_string(reply->code) + " " + reply->enhanced.to_string();
}

std::string refusal_of_rcpt(std::string_view argument) {
  const auto parsed = parse_rcpt(argument, false);
  const auto* reply = std::get_if<Reply>(&parsed);
  return reply == nullptr ? "ok" : std::to_string(reply->code) + " " + reply->enhanced.to_string();
}

MailCommand mail(std::string_view argument) {
  auto parsed = parse_mail(argument);
  if (const auto* reply = std::get_if<Reply>(&parsed)) {
    ADD_FAILURE() << argument << ": " << reply->to_string();
    return {};
  }
  return std::get<MailCommand>(std::move(parsed));
}

Recipient rcpt(std::string_view argument) {
  auto parsed = parse_rcpt(argument, false);
  if (const auto* reply = std::get_if<Reply>(&parsed)) {
    ADD_FAILURE() << argument << ": " << reply->to_string();
    return {};
  }
  return std::get<Recipient>(std::move(parsed));
}

TEST(CommandLine, KnowsVerbsWhateverTheirCase) {
  EXPECT_EQ(parse_command_line("MAIL FROM:<a@b>").verb, Verb::mail);
  EXPECT_EQ(parse_command_line("mail FROM:<a@b>").argument, "FROM:<a@b>");
  EXPECT_EQ(parse_command_line("rCpT TO:<a@b>").verb, Verb::rcpt);
  EXPECT_EQ(parse_command_line("QUIT  ").verb, Verb::quit);
  EXPECT_EQ(parse_command_line("QUIT  ").argument, "");
  EXPECT_EQ(parse_command_line("EHLO   client.example ").argument, "client.example");
  EXPECT_EQ(parse_command_line("STARTTLS").verb, Verb::starttls);
}

TEST(CommandLine, TakesNothingElseForAVerb) {
  for (std::string_view line : {"", " ", "MAILFROM:<a@b>", "DATAX", "QUI", " QUIT", "TURN", "."}) {
    EXPECT_EQ(parse_command_line(line).verb, Verb::unknown) << line;
  }
}

TEST(CommandLine, RecognizesOtherProtocols_I7) {
  EXPECT_EQ(parse_command_line("GET / HTTP/1.1").verb, Verb::foreign);
  EXPECT_EQ(parse_command_line("CONNECT mail.example:25 HTTP/1.0").verb, Verb::foreign);
  EXPECT_EQ(parse_command_line("POST / HTTP/1.1").verb, Verb::foreign);
}

TEST(CommandLine, SeesControlOctets_I8) {
  EXPECT_FALSE(has_control_octets("MAIL FROM:<a@b>"));
  EXPECT_TRUE(has_control_octets(std::string_view("NOOP\0", 5)));
  EXPECT_TRUE(has_control_octets("NOOP \r"));
  EXPECT_TRUE(has_control_octets("NOOP\tx"));
  EXPECT_TRUE(has_control_octets("NOOP \x7f"));
}

TEST(ClientName, IsNotVerifiedButMustBePrintable) {
  EXPECT_TRUE(valid_client_name("client.example"));
  EXPECT_TRUE(valid_client_name("[192.0.2.1]"));
  EXPECT_TRUE(valid_client_name("under_score"));
  EXPECT_FALSE(valid_client_name(""));
  EXPECT_FALSE(valid_client_name("two names"));
  EXPECT_FALSE(valid_client_name("\xc3\xa4.example"));
  EXPECT_FALSE(valid_client_name(std::string(256, 'a')));
}

TEST(MailCommand, ReadsThePathAndEveryParameter) {
  const auto command =
      mail("FROM:<User@Example.COM> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314");
  EXPECT_EQ(command.reverse_path.to_string(), "User@Example.COM");
  EXPECT_EQ(command.size, 1000u);
  EXPECT_EQ(command.body, BodyType::eight_bit_mime);
  EXPECT_EQ(command.dsn_return, DsnReturn::headers);
  EXPECT_EQ(command.envelope_id, "QQ+2B314");
}

TEST(MailCommand, TakesTheNullPathAndLooseSpacesAndCase) {
  EXPECT_TRUE(mail("FROM:<>").reverse_path.is_null());
  EXPECT_EQ(mail("from: <a@b.example>  size=5  ").size, 5u);
  EXPECT_EQ(mail("FROM:<a@b.example> body=7bit ret=full").dsn_return, DsnReturn::full);
}

TEST(MailCommand, KeepsQuotedLocalPartsOctetForOctet_I14) {
  EXPECT_EQ(mail(R"(FROM:<"a\"b C"@x.example>)").reverse_path.local, R"("a\"b C")");
  EXPECT_EQ(mail("FROM:<User+Tag@x.example>").reverse_path.local, "User+Tag");
}

TEST(MailCommand, RefusesBadSizes_I20) {
  for (std::string_view size : {"-1", "18446744073709551616", "1k", "0x10", "+5"}) {
    EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SIZE=" + std::string(size)), "501 5.5.4") << size;
  }
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SIZE"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SIZE="), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SIZE=1 SIZE=1"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SIZE=1 size=2"), "501 5.5.4");
  EXPECT_EQ(mail("FROM:<a@b.example> SIZE=18446744073709551615").size, ~std::uint64_t{0});
}

TEST(MailCommand, RefusesDuplicateUnknownAndBadParameters_I23) {
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> RET=FULL RET=FULL"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> RET=ALL"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> RET"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=a+zz"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=a=b"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=a+0D+0Ab"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=a+20b"), "ok");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=" + std::string(101, 'a')), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=" + std::string(100, 'a')), "ok");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> BODY=9BIT"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> =5"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> -X=5"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> FROB=5"), "555 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> NOTIFY=NEVER"), "555 5.5.4");
}

TEST(MailCommand, RefusesWhatThisVersionDoesNotOffer) {
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> AUTH=<>"), "555 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> REQUIRETLS"), "555 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> BY=100;R"), "555 5.5.4");
  EXPECT_EQ(refusal_of_rcpt("TO:<a@b.example> SMTPUTF8"), "555 5.5.4");
}

TEST(MailCommand, TakesBinaryContent) {
  EXPECT_EQ(mail("FROM:<a@b.example> BODY=binarymime").body, BodyType::binary_mime);
}

TEST(MailCommand, TakesUtf8OnlyWithItsParameter_I15) {
  const auto command = mail("FROM:<\u00E4@B\u00DCCHER.example> SMTPUTF8 BODY=8BITMIME");
  EXPECT_TRUE(command.smtputf8);
  EXPECT_EQ(command.reverse_path.to_string(), "\u00E4@B\u00DCCHER.example");  // as it came
  EXPECT_TRUE(mail("FROM:<> smtputf8").smtputf8);
  EXPECT_FALSE(mail("FROM:<a@b.example>").smtputf8);
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SMTPUTF8=1"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> SMTPUTF8 SMTPUTF8"), "501 5.5.4");
  EXPECT_EQ(refusal_of_mail("FROM:<a@b.example> ENVID=\u00E4 SMTPUTF8"), "501 5.5.4");
}

TEST(MailCommand, RefusesBrokenUtf8WhateverItsParameters_I15) {
  const std::string long_domain = [] {
    std::string name;
    for (int i = 0; i < 50; ++i) name += "\u00FC\u00FC\u00FC\u00FC\u00FC.";
    return name + "example";
  }();
  for (const std::string& path :
       {std::string("<\xC3@x.example>"), std::string("<\xC0\xAF@x.example>"),
        std::string("<a\u202Eb@x.example>"), std::string("<a@\u00E4\u3002example>"),
        std::string("<a@a\u2100b.example>"), std::string("<a@\u00FC.xn--zzzzzzzz.example>"),
        "<a@" + long_domain + ">"}) {
    EXPECT_EQ(refusal_of_mail("FROM:" + path + " SMTPUTF8"), "501 5.1.7") << path;
    EXPECT_EQ(refusal_of_rcpt("TO:" + path), "501 5.1.3") << path;
  }
  EXPECT_EQ(refusal_of_mail("FROM:<a@xn--bcher-kva.b\u00FCcher.example> SMTPUTF8"), "ok");
}

TEST(BdatCommand, ReadsSizeAndLast_I21) {
  EXPECT_EQ(parse_bdat("0")->size, 0u);
  EXPECT_FALSE(parse_bdat("1000")->last);
  EXPECT_TRUE(parse_bdat("1000 LAST")->last);
  EXPECT_TRUE(parse_bdat("0  last")->last);
  EXPECT_EQ(parse_bdat("9223372036854775807")->size, 9223372036854775807u);
  for (const char* bad :
       {"", "LAST", "-1", "+1", "1k", "0x10", "1.5", "9223372036854775808", "18446744073709551616",
        "99999999999999999999999999", "10 FIRST", "10 LAST LAST", "10 LAST 10", "ten"}) {
    EXPECT_FALSE(parse_bdat(bad)) << bad;
  }
}

TEST(MailCommand, RefusesBadPaths_I13) {
  const std::string long_local(65, 'l');
  const std::string long_label(64, 'd');
  for (const std::string& path :
       {std::string("<a@>"), std::string("<a..b@x.example>"), std::string("<a@x..example>"),
        std::string("<\"a@x.example>"), std::string("<a@x.example"), std::string("a b@x"),
        std::string("<a(comment)@x.example>"), std::string("<a@x.example:25>"),
        std::string("<a@http://x>"), std::string("<postmaster>"), "<" + long_local + "@x.example>",
        "<a@" + long_label + ".example>"}) {
    EXPECT_EQ(refusal_of_mail("FROM:" + path), "501 5.1.7") << path;
  }
}

TEST(MailCommand, RefusesPathsThatNeedSmtputf8) {
  EXPECT_EQ(refusal_of_mail("FROM:<\xc3\xa4@x.example>"), "553 5.6.7");
  EXPECT_EQ(refusal_of_rcpt("TO:<a@\xc3\xa4.example>"), "553 5.6.7");
}

TEST(MailCommand, RefusesAMissingKeyword) {
  for (std::string_view argument :
       {"", "FROM", "TO:<a@b.example>", "<a@b.example>", "FROM <a@b>"}) {
    EXPECT_EQ(refusal_of_mail(argument), "501 5.5.4") << argument;
  }
}

TEST(MailCommand, EndsAtManyParameters) {
  std::string argument = "FROM:<a@b.example>";
  for (int i = 0; i < 1000; ++i) argument += " SIZE=1";
  EXPECT_EQ(refusal_of_mail(argument), "501 5.5.4");
}

TEST(RcptCommand, ReadsThePathAndEveryParameter) {
  const auto recipient =
      rcpt("TO:<user@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;user+2Btag@example.com");
  EXPECT_EQ(recipient.address.to_string(), "user@example.com");
  EXPECT_EQ(recipient.original, recipient.address);
  EXPECT_TRUE(recipient.notify.present);
  EXPECT_TRUE(recipient.notify.success);
  EXPECT_TRUE(recipient.notify.failure);
  EXPECT_FALSE(recipient.notify.delay);
  EXPECT_EQ(recipient.original_recipient, "rfc822;user+2Btag@example.com");
}

TEST(RcptCommand, TakesPostmasterAndCutsSourceRoutes_I13) {
  EXPECT_EQ(rcpt("TO:<Postmaster>").address.to_string(), "Postmaster");
  EXPECT_EQ(rcpt("TO:<@a.example,@b.example:c@d.example>").address.to_string(), "c@d.example");
}

TEST(RcptCommand, RefusesBadParameters_I23) {
  for (const std::string& parameter :
       {std::string("ORCPT=rfc822;a+0D+0Ab"), std::string("ORCPT=utf-8;\u00FC@x"),
        std::string("ORCPT=utf-8;\\x{110000}@x"), std::string("NOTIFY=NEVER,SUCCESS"),
        std::string("NOTIFY=SUCCESS,NEVER"), std::string("NOTIFY=SUCCESS,SUCCESS"),
        std::string("NOTIFY="), std::string("NOTIFY"), std::string("NOTIFY=SOMETIMES"),
        std::string("NOTIFY=SUCCESS,"), std::string("NOTIFY=NEVER NOTIFY=NEVER"),
        std::string("ORCPT=user@example.com"), std::string("ORCPT=rfc822;"),
        std::string("ORCPT=;user"), std::string("ORCPT=rfc822;a+G1"),
        std::string("ORCPT=rfc822;a=b"), "ORCPT=rfc822;" + std::string(2000, 'a')}) {
    EXPECT_EQ(refusal_of_rcpt("TO:<a@b.example> " + parameter), "501 5.5.4") << parameter;
  }
  EXPECT_EQ(refusal_of_rcpt("TO:<a@b.example> SIZE=5"), "555 5.5.4");
  EXPECT_EQ(refusal_of_rcpt("TO:<a@b.example> FROB"), "555 5.5.4");
}

TEST(RcptCommand, RefusesBadPaths_I13) {
  for (std::string_view path : {"<>", "<a@>", "<@x.example>", "<a@x.example", "a.example",
                                "<@a.example,c@d.example>", "<a@-x.example:80>"}) {
    EXPECT_EQ(refusal_of_rcpt("TO:" + std::string(path)), "501 5.1.3") << path;
  }
}

}  // namespace
}  // namespace mansio::smtp
