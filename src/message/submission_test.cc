#include "message/submission.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

const MissingFields missing{"Ann <ann@example.org>", "1@example.org",
                            Time(std::chrono::seconds(1'700'000'000))};
const std::string date = "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n";

TEST(Submission, EndsEveryLineAsSmtpWantsIt_I2) {
  EXPECT_EQ(to_network_lines("a\nb\r\nc\rd"), "a\r\nb\r\nc\r\nd\r\n");
  EXPECT_EQ(to_network_lines("a\r\r\nb\n\n"), "a\r\n\r\nb\r\n\r\n");
  EXPECT_EQ(to_network_lines(""), "");
  LineEnds ends;
  EXPECT_EQ(ends.feed("a\r"), "a\r\n");
  EXPECT_EQ(ends.feed("\nb"), "b");
  EXPECT_EQ(ends.feed("\r"), "\r\n");
  EXPECT_EQ(ends.feed("\rc"), "\r\nc");
  EXPECT_EQ(ends.finish(), "\r\n");
  EXPECT_EQ(ends.finish(), "");
}

TEST(Submission, AddsWhatIsMissingAndNothingElse_R88) {
  EXPECT_EQ(completed("Subject: x\r\n\r\nhello\r\n", missing),
            "Subject: x\r\nFrom: Ann <ann@example.org>\r\n" + date +
                "Message-ID: <1@example.org>\r\n\r\nhello\r\n");
  const std::string whole =
      "from: a@b\r\nDATE: y\r\nmessage-id: <z>\r\nSubject: folded\r\n over\r\n\r\nbody\r\n";
  EXPECT_EQ(completed(whole, missing), whole);
}

TEST(Submission, TakesATextWithoutAHeaderAsBody_R88) {
  const std::string added =
      "From: Ann <ann@example.org>\r\n" + date + "Message-ID: <1@example.org>\r\n\r\n";
  EXPECT_EQ(completed("hello world\r\n", missing), added + "hello world\r\n");
  EXPECT_EQ(completed("", missing), added);
  EXPECT_EQ(completed("\r\nbody\r\n", missing), added + "body\r\n");
  EXPECT_EQ(completed(" not a fold: x\r\n", missing), added + " not a fold: x\r\n");
  EXPECT_EQ(completed("Subject: x\r\nno field\r\n", missing),
            "Subject: x\r\n" + added + "no field\r\n");
}

TEST(Submission, TakesOutBccAndOurOwnFieldsAndKeepsDoubledOnes_I42) {
  const std::string text =
      "From: a@b\r\nFrom: c@d\r\nDate: x\r\nMessage-ID: <1>\r\nMessage-ID: <2>\r\nbcc: e@f,\r\n "
      "g@h\r\n"
      "Resent-Bcc: i@j\r\nReturn-Path: <k@l>\r\nX-Mansio-Tenant: m\r\nTo: n@o\r\n"
      "Authentication-Results: p\r\n\r\nBcc: stays in the body\r\n";
  EXPECT_EQ(completed(text, missing),
            "From: a@b\r\nFrom: c@d\r\nDate: x\r\nMessage-ID: <1>\r\nMessage-ID: <2>\r\nTo: n@o\r\n"
            "Authentication-Results: p\r\n\r\nBcc: stays in the body\r\n");
}

TEST(Submission, WritesNamesSoThatTheyCannotBreakOut_I9) {
  EXPECT_EQ(mailbox_text("Ann Example", "a@b"), "Ann Example <a@b>");
  EXPECT_EQ(mailbox_text("", "a@b"), "a@b");
  EXPECT_EQ(mailbox_text("Ann \"A\" <x@y>", "a@b"), "\"Ann \\\"A\\\" <x@y>\" <a@b>");
  EXPECT_EQ(mailbox_text("J\u00F6rg", "a@b"), "=?utf-8?B?SsO2cmc=?= <a@b>");
  EXPECT_EQ(mailbox_text("a\r\nBcc: x", "a@b"), "=?utf-8?B?YQ0KQmNjOiB4?= <a@b>");
  std::string umlauts;
  for (int i = 0; i < 40; ++i) umlauts += "\u00F6";
  EXPECT_EQ(mailbox_text(umlauts, "a@b").find("=?utf-8?B?", 1), 75u);
}

}  // namespace
}  // namespace mansio
