#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/sendmail_message.h"
#include "mansio/sendmail_options.h"

namespace mansio::cli {
namespace {

using Mode = SendmailOptions::Mode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

SendmailOptions parsed(const Words& words) { return parse_sendmail("sendmail", words); }

std::string refusal(const Words& words) {
  try {
    parsed(words);
  } catch (const SendmailFailure& failure) {
    EXPECT_EQ(failure.status(), ex_usage);
    return failure.what();
  }
  return "accepted";
}

TEST(SendmailOptions, AreReadAsProgramsWriteThem) {
  const SendmailOptions options =
      parsed({"-ti", "-oem", "-odb", "-fann@example.org", "-F", "Ann Example", "-B8BITMIME", "-N",
              "success,delay", "-Rhdrs", "-V", "id 1", "-v", "bob@example.com"});
  EXPECT_TRUE(options.recipients_from_header);
  EXPECT_FALSE(options.dot_ends);
  EXPECT_TRUE(options.verbose);
  EXPECT_EQ(options.sender, "ann@example.org");
  EXPECT_EQ(options.full_name, "Ann Example");
  EXPECT_EQ(options.notify, "success,delay");
  EXPECT_EQ(options.dsn_return, "hdrs");
  EXPECT_EQ(options.envelope_id, "id 1");
  EXPECT_THAT(options.recipients, ElementsAre("bob@example.com"));
  EXPECT_FALSE(parsed({"-oi", "x"}).dot_ends);
  EXPECT_TRUE(parsed({"-odq", "-om", "x"}).dot_ends);
  EXPECT_EQ(parsed({"-f", "", "x"}).sender, "");
  EXPECT_EQ(parsed({"-f", "<>", "x"}).sender, "");
  EXPECT_EQ(parsed({"-r", "<a@b>", "x"}).sender, "a@b");
  EXPECT_EQ(parsed({"-V", "X-42", "x"}).envelope_id, "X-42");
}

TEST(SendmailOptions, KnowTheOtherThingsThatSendmailIsAskedFor) {
  EXPECT_EQ(parsed({"-bm", "x"}).mode, Mode::submit);
  EXPECT_EQ(parsed({"-bs"}).mode, Mode::smtp);
  EXPECT_EQ(parsed({"-bp"}).mode, Mode::list);
  EXPECT_EQ(parse_sendmail("mailq", {}).mode, Mode::list);
  EXPECT_EQ(parse_sendmail("newaliases", {}).mode, Mode::aliases);
  EXPECT_EQ(parsed({"-q"}).mode, Mode::flush);
  EXPECT_EQ(parsed({"-qRexample.com"}).flush_value, "example.com");
  EXPECT_EQ(parsed({"-qR", "example.com"}).flush_by, 'R');
}

TEST(SendmailOptions, RefuseWhatTheyCannotDo) {
  EXPECT_THAT(refusal({"-bd"}), HasSubstr("mansiod"));
  EXPECT_THAT(refusal({"-bv", "x"}), HasSubstr("not available"));
  EXPECT_THAT(refusal({"-q30m"}), HasSubstr("[retry]"));
  EXPECT_THAT(refusal({"-bx"}), HasSubstr("unknown mode"));
  EXPECT_THAT(refusal({"-Z"}), HasSubstr("unknown option -Z"));
  EXPECT_THAT(refusal({"-f"}), HasSubstr("-f needs a value"));
  EXPECT_THAT(refusal({"-N", "never,success", "x"}), HasSubstr("-N"));
  EXPECT_THAT(refusal({"--help"}), HasSubstr("--help"));
}

TEST(SendmailOptions, AnAddressThatLooksLikeAnOptionComesBehindTwoDashes_I12) {
  EXPECT_THAT(refusal({"-Xx", "-Zadmin@example.org"}), HasSubstr("unknown option -Z"));
  EXPECT_THAT(parsed({"-i", "--", "-Zadmin@example.org"}).recipients,
              ElementsAre("-Zadmin@example.org"));
}

const Submitter ann{"ann", "Ann Example", "host.example"};

Composed composed(const Words& words, const std::string& input) {
  return compose(parsed(words), ann, input, "1", Time(std::chrono::seconds(1'700'000'000)));
}

std::vector<std::string> recipients(const Composed& message) {
  std::vector<std::string> result;
  for (const Recipient& each : message.envelope.recipients) {
    result.push_back(each.address.to_string());
  }
  return result;
}

SendmailExit failure(const Words& words, const std::string& input) {
  try {
    composed(words, input);
  } catch (const SendmailFailure& failed) {
    return failed.status();
  }
  return ex_ok;
}

TEST(SendmailMessage, IsComplete_R88) {
  const Composed message = composed({"bob@example.com", "root"}, "Subject: x\n\nhello\n");
  EXPECT_THAT(recipients(message), ElementsAre("bob@example.com", "root@host.example"));
  EXPECT_EQ(message.envelope.reverse_path.to_string(), "ann@host.example");
  EXPECT_EQ(message.content,
            "Subject: x\r\nFrom: Ann Example <ann@host.example>\r\n"
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@host.example>\r\n"
            "\r\nhello\r\n");
  EXPECT_EQ(message.envelope.body, BodyType::seven_bit);
}

TEST(SendmailMessage, TakesRecipientsFromTheHeaderAndDropsBcc_I42) {
  const Composed message = composed(
      {"-t", "-f", "x@y", "also@example.com"},
      "To: Bob <bob@example.com>,\n team: carl@example.com, root;\n"
      "Cc: bob@example.com\nBcc: secret@example.com\nFrom: a@b\n\nBcc: body@example.com\n");
  EXPECT_THAT(recipients(message),
              ElementsAre("also@example.com", "bob@example.com", "carl@example.com",
                          "root@host.example", "secret@example.com"));
  EXPECT_THAT(message.content, Not(HasSubstr("secret")));
  EXPECT_THAT(message.content, HasSubstr("Cc: bob@example.com\r\nFrom: a@b\r\nDate: "));
  EXPECT_THAT(recipients(composed({"-t"}, "To: a@b\nResent-To: c@d\n\n")), ElementsAre("c@d"));
}

TEST(SendmailMessage, KeepsTheNullSenderAndPassesDsnWishes) {
  const Composed message =
      composed({"-f", "<>", "-N", "never", "-R", "full", "-V", "a b", "b@c"}, "x\n");
  EXPECT_TRUE(message.envelope.reverse_path.is_null());
  EXPECT_TRUE(message.envelope.recipients.front().notify.never);
  EXPECT_EQ(message.envelope.dsn_return, DsnReturn::full);
  EXPECT_EQ(message.envelope.envelope_id, "a+20b");
  EXPECT_THAT(message.content, HasSubstr("From: ann@host.example\r\n"));
}

TEST(SendmailMessage, DropsTheLineOfAMailbox) {
  EXPECT_TRUE(composed({"b@c"}, "From ann Sat Jan  3 01:05:34 1996\nSubject: x\n\ny\n")
                  .content.starts_with("Subject: x\r\n"));
}

TEST(SendmailMessage, CarriesInternationalMail) {
  const Composed message = composed({"-f", "j\u00F6rg@example.org", "b@c"}, "\u00FCber\n");
  EXPECT_TRUE(message.envelope.smtputf8);
  EXPECT_EQ(message.envelope.body, BodyType::eight_bit_mime);
}

TEST(SendmailMessage, WithANulIsRefusedBeforeItCouldBeLeftInTheMaildrop) {
  EXPECT_EQ(failure({"b@c"}, std::string("x\0y\n", 4)), ex_dataerr);
}

TEST(SendmailMessage, RefusesWhatIsNoAddress_I9) {
  EXPECT_EQ(failure({}, "x\n"), ex_usage);
  EXPECT_EQ(failure({"-t"}, "Subject: x\n\n"), ex_dataerr);
  EXPECT_EQ(failure({"-t"}, "To: John Doe\n\n"), ex_dataerr);
  EXPECT_EQ(failure({"a b"}, "x\n"), ex_usage);
  EXPECT_EQ(failure({"a@b\r\nRCPT TO:<x@y>"}, "x\n"), ex_usage);
  EXPECT_EQ(failure({"-f", "a@b\nx", "b@c"}, "x\n"), ex_usage);
  EXPECT_EQ(failure({"-f", "a@b> SIZE=1", "b@c"}, "x\n"), ex_usage);
}

}  // namespace
}  // namespace mansio::cli
