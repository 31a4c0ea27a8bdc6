// The samples have the form that each kind of server gives its notices; names and words are ours
// where the form leaves them free.
#include "dsn/report_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "message/transfer_encoding.h"
#include "message/utf8.h"

namespace mansio::dsn {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Lines joined by CRLF.
std::string mail(std::initializer_list<std::string_view> lines) {
  std::string out;
  for (const std::string_view line : lines) out.append(line).append("\r\n");
  return out;
}

constexpr std::string_view status_part =
    "Reporting-MTA: dns; mx.receiver.example\r\n"
    "Original-Envelope-Id: QQ314159\r\n"
    "Arrival-Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n"
    "X-Receiver-Queue: 4F7B\r\n"
    "\r\n"
    "Original-Recipient: rfc822; Ann@Receiver.Example\r\n"
    "Final-Recipient: rfc822; ann@pop.receiver.example\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1 (bad destination mailbox)\r\n"
    "Remote-MTA: dns; pop.receiver.example\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 No such\r\n"
    "  person here\r\n"
    "Last-Attempt-Date: Mon, 2 Mar 2026 10:00:03 +0000\r\n"
    "X-Colour: blue\r\n"
    "\r\n"
    "Final-Recipient: rfc822;bob@receiver.example\r\n"
    "Action: delayed\r\n"
    "Status: 4.2.2\r\n"
    "Will-Retry-Until: Fri, 6 Mar 2026 10:00:00 +0000\r\n"
    "\r\n"
    "Final-Recipient: rfc822;cy@receiver.example\r\n"
    "Action: delivered\r\n"
    "Status: 2.0.0\r\n";

std::string report_mail(std::string_view status, std::string_view encoding = "7bit",
                        std::string_view type = "message/delivery-status") {
  std::string out =
      mail({"Return-Path: <>", "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.receiver.example>",
            "To: b+x@back.example", "Subject: Returned mail", "MIME-Version: 1.0",
            "Content-Type: multipart/report; report-type=delivery-status;",
            "\tboundary=\"=_frontier (1)\"", "", "For old readers.", "--=_frontier (1)", "",
            "Your mail could not be delivered.", "--=_frontier (1)"});
  out += "Content-Type: " + std::string(type) +
         "\r\nContent-Transfer-Encoding: " + std::string(encoding) + "\r\n\r\n" +
         std::string(status) + "\r\n";
  out += mail({"--=_frontier (1)", "Content-Type: message/rfc822", "", "From: shop@shop.example",
               "Message-ID: <77@shop.example>", "Subject: Offer", "", "Buy.", "--=_frontier (1)--",
               "epilogue"});
  return out;
}

TEST(ReportReader, ReadsADeliveryStatusReport) {
  const Report report = read_report(report_mail(status_part));
  EXPECT_EQ(report.kind, ReportKind::delivery_status);
  EXPECT_EQ(report.reporting_mta, "mx.receiver.example");
  EXPECT_EQ(report.envelope_id, "QQ314159");
  EXPECT_EQ(report.arrival_date, "Mon, 2 Mar 2026 10:00:00 +0000");
  EXPECT_EQ(report.original_message_id, "<77@shop.example>");
  EXPECT_EQ(report.first_line, "Your mail could not be delivered.");
  EXPECT_EQ(report.dialect, "");
  EXPECT_FALSE(report.truncated);
  ASSERT_EQ(report.unknown.size(), 1u);
  EXPECT_EQ(report.unknown[0], (Field{"X-Receiver-Queue", "4F7B"}));
  ASSERT_EQ(report.recipients.size(), 3u);
  const RecipientReport& ann = report.recipients[0];
  EXPECT_EQ(ann.final_recipient, "ann@pop.receiver.example");
  EXPECT_EQ(ann.original_recipient, "Ann@Receiver.Example");
  EXPECT_EQ(ann.action, ReportAction::failed);
  EXPECT_EQ(ann.status.to_string(), "5.1.1");
  EXPECT_EQ(ann.diagnostic_type, "smtp");
  EXPECT_EQ(ann.diagnostic, "550 5.1.1 No such person here");
  EXPECT_EQ(ann.remote_mta, "pop.receiver.example");
  EXPECT_TRUE(ann.permanent);
  ASSERT_EQ(ann.unknown.size(), 1u);
  EXPECT_EQ(ann.unknown[0], (Field{"X-Colour", "blue"}));
  EXPECT_EQ(report.recipients[1].action, ReportAction::delayed);
  EXPECT_FALSE(report.recipients[1].permanent);
  EXPECT_EQ(report.recipients[2].action, ReportAction::delivered);
}

TEST(ReportReader, UndoesTransferEncodings) {
  const Report plain = read_report(report_mail(status_part));
  for (const bool base64 : {true, false}) {
    const std::string encoded = base64 ? base64_lines(status_part) : quoted_printable(status_part);
    const Report report = read_report(report_mail(encoded, base64 ? "BASE64" : "quoted-printable"));
    ASSERT_EQ(report.recipients.size(), 3u);
    EXPECT_EQ(report.recipients[0].diagnostic, plain.recipients[0].diagnostic);
    EXPECT_EQ(report.envelope_id, plain.envelope_id);
  }
}

TEST(ReportReader, ReadsInternationalReports) {
  const Report report =
      read_report(report_mail("Reporting-MTA: dns; mx.example\r\n\r\n"
                              "Final-Recipient: utf-8; \\x{F6}mer@b\xC3\xBC"
                              "cher.example\r\n"
                              "Action: failed\r\nStatus: 5.6.7\r\n"
                              "Diagnostic-Code: smtp; 550 5.6.7 na\xC3\xAFve\r\n"
                              "Localized-Diagnostic: de-1; nein\r\n",
                              "8bit", "message/global-delivery-status"));
  EXPECT_EQ(report.kind, ReportKind::delivery_status);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].final_recipient,
            "\xC3\xB6mer@b\xC3\xBC"
            "cher.example");
  EXPECT_EQ(report.recipients[0].diagnostic, "550 5.6.7 na\xC3\xAFve");
}

TEST(ReportReader, ForgivesWhatServersGetWrong) {
  // One group for all, a second recipient without an empty line, no types, brackets, tabs, no
  // Action.
  const Report report = read_report(report_mail(
      "Reporting-MTA: mx.example\nFinal-Recipient: <a@x.example>\nStatus:\t5.2.1\n"
      "Final-Recipient: RFC822; <b@x.example>\nAction: FAILED (bounced)\nStatus: 4.4.7\nnonsense\n"
      "Diagnostic-Code: X-Notes; Gone\n"));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.reporting_mta, "mx.example");
  EXPECT_EQ(report.recipients[0].final_recipient, "a@x.example");
  EXPECT_EQ(report.recipients[0].action, ReportAction::failed);
  EXPECT_TRUE(report.recipients[0].permanent);
  EXPECT_EQ(report.recipients[1].final_recipient, "b@x.example");
  EXPECT_EQ(report.recipients[1].action, ReportAction::failed);
  EXPECT_FALSE(report.recipients[1].permanent);  // given up, but the cause was a temporary one
  EXPECT_EQ(report.recipients[1].diagnostic_type, "x-notes");
}

TEST(ReportReader, ReadsWordsWhereAReportNamesNobody) {
  const Report report = read_report(report_mail("Reporting-MTA: dns; mx.example\r\n"));
  EXPECT_EQ(report.kind, ReportKind::delivery_status);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].final_recipient, "");
  EXPECT_EQ(report.recipients[0].action, ReportAction::failed);
}

TEST(ReportReader, FindsTheReportDespiteABrokenBoundary) {
  std::string text = report_mail(status_part);
  for (std::size_t at = text.find("\r\n--=_frontier"); at != std::string::npos;
       at = text.find("\r\n--=_frontier", at)) {
    text.replace(at, 14, "\r\n--=_forntier");
  }
  const Report report = read_report(text);
  EXPECT_EQ(report.kind, ReportKind::delivery_status);
  ASSERT_EQ(report.recipients.size(), 3u);
  EXPECT_EQ(report.recipients[0].final_recipient, "ann@pop.receiver.example");
}

// ---- words ------------------------------------------------------------------------------------

struct Words {
  const char* name;
  std::string content;
  const char* dialect;
  const char* recipient;
  ReportAction action;
  const char* status;
  const char* diagnostic;  ///< part of it
  const char* remote;
  const char* message_id;
};

void PrintTo(const Words& words, std::ostream* out) { *out << words.name; }

class BouncesInWords : public ::testing::TestWithParam<Words> {};

TEST_P(BouncesInWords, AreRead) {
  const Words& words = GetParam();
  const Report report = read_report(words.content);
  EXPECT_EQ(report.kind, ReportKind::bounce);
  EXPECT_EQ(report.dialect, words.dialect);
  ASSERT_EQ(report.recipients.size(), 1u);
  const RecipientReport& recipient = report.recipients[0];
  EXPECT_EQ(recipient.final_recipient, words.recipient);
  EXPECT_EQ(recipient.action, words.action);
  EXPECT_EQ(recipient.status.to_string(), words.status);
  EXPECT_THAT(recipient.diagnostic, HasSubstr(words.diagnostic));
  EXPECT_EQ(recipient.remote_mta, words.remote);
  EXPECT_EQ(recipient.permanent, words.action == ReportAction::failed && words.status[0] == '5');
  EXPECT_EQ(report.original_message_id, words.message_id);
}

Words qmail() {
  return {"qmail",
          mail({"Received: (qmail 4711 invoked for bounce); 2 Mar 2026 10:00:00 -0000",
                "Date: 2 Mar 2026 10:00:00 -0000",
                "From: MAILER-DAEMON@q.example",
                "To: b+x@back.example",
                "Subject: failure notice",
                "",
                "Hi. This is the qmail-send program at q.example.",
                "I'm afraid I wasn't able to deliver your message to the following addresses.",
                "This is a permanent error; I've given up. Sorry it didn't work out.",
                "",
                "<ann@dest.example>:",
                "192.0.2.7 does not like recipient.",
                "Remote host said: 550 5.1.1 <ann@dest.example>: no such mailbox",
                "Giving up on 192.0.2.7.",
                "",
                "--- Below this line is a copy of the message.",
                "",
                "Return-Path: <b+x@back.example>",
                "Message-ID: <q1@shop.example>",
                "To: somebody@else.example",
                "",
                "<not@this.example>: text"}),
          "qmail",
          "ann@dest.example",
          ReportAction::failed,
          "5.1.1",
          "Remote host said: 550",
          "",
          "<q1@shop.example>"};
}

Words yahoo() {
  return {"yahoo",
          mail({"From: MAILER-DAEMON@y.example", "Subject: Failure Notice", "",
                "Sorry, we were unable to deliver your message to the following address.", "",
                "<ann@dest.example>:", "This is a permanent error:", "554: delivery error: dd",
                "This user doesn't have a y.example account (ann@dest.example) [0]", "",
                "--- Below this line is a copy of the message.", "", "Message-ID: <y1@s.example>"}),
          "yahoo",
          "ann@dest.example",
          ReportAction::failed,
          "5.1.1",
          "554: delivery error",
          "",
          "<y1@s.example>"};
}

Words exim() {
  return {"exim",
          mail({"X-Failed-Recipients: ann@dest.example",
                "Auto-Submitted: auto-replied",
                "From: Mail Delivery System <Mailer-Daemon@e.example>",
                "To: b+x@back.example",
                "Subject: Mail delivery failed: returning message to sender",
                "",
                "This message was created automatically by mail delivery software.",
                "",
                "A message that you sent could not be delivered to one or more of its",
                "recipients. This is a permanent error. The following address(es) failed:",
                "",
                "  ann@dest.example",
                "    host mx.dest.example [192.0.2.9]",
                "    SMTP error from remote mail server after RCPT TO:<ann@dest.example>:",
                "    550 5.2.1 Mailbox is closed",
                "",
                "------ This is a copy of your message, including all the headers. ------",
                "",
                "Received: from shop.example",
                "Message-ID: <e1@shop.example>",
                "",
                "Hello."}),
          "exim",
          "ann@dest.example",
          ReportAction::failed,
          "5.2.1",
          "SMTP error from remote mail server",
          "mx.dest.example",
          "<e1@shop.example>"};
}

Words exim_delay() {
  return {"exim_delay",
          mail({"From: Mail Delivery System <Mailer-Daemon@e.example>",
                "Subject: Warning: message 1abc delayed 24 hours", "",
                "This message was created automatically by mail delivery software.",
                "A message that you sent has not yet been delivered to one or more of its",
                "recipients after more than 24 hours on the queue on e.example.", "",
                "The address to which the message has not yet been delivered is:", "",
                "  ann@dest.example", "    Delay reason: Connection timed out", "",
                "No action is required on your part."}),
          "exim",
          "ann@dest.example",
          ReportAction::delayed,
          "4.4.1",
          "Connection timed out",
          "",
          ""};
}

Words postfix() {
  return {"postfix",
          mail({"From: MAILER-DAEMON@p.example (Mail Delivery System)",
                "Subject: Undelivered Mail Returned to Sender", "",
                "This is the mail system at host p.example.", "",
                "I'm sorry to have to inform you that your message could not", "be delivered.", "",
                "<ann@dest.example>: host mx.dest.example[192.0.2.9] said: 552 5.2.2 The",
                "    mailbox is over quota (in reply to RCPT TO command)", ""}),
          "postfix",
          "ann@dest.example",
          ReportAction::failed,
          "5.2.2",
          "552 5.2.2 The mailbox",
          "mx.dest.example",
          ""};
}

Words sendmail() {
  return {"sendmail",
          mail({"From: Mail Delivery Subsystem <MAILER-DAEMON@s.example>",
                "Subject: Returned mail: see transcript for details", "",
                "The original message was received at Mon, 2 Mar 2026 10:00:00 GMT",
                "from shop.example [192.0.2.1]", "",
                "   ----- The following addresses had permanent fatal errors -----",
                "<ann@dest.example>", "    (reason: 550 5.1.1 User unknown)", "",
                "   ----- Transcript of session follows -----",
                "... while talking to mx.dest.example.:", ">>> DATA", "<<< 550 5.1.1 User unknown",
                "550 5.1.1 <ann@dest.example>... User unknown", "",
                "   ----- Original message follows -----", "", "Message-Id: <s1@shop.example>"}),
          "sendmail",
          "ann@dest.example",
          ReportAction::failed,
          "5.1.1",
          "reason: 550 5.1.1",
          "mx.dest.example",
          "<s1@shop.example>"};
}

Words exchange() {
  return {"exchange",
          mail({"From: Microsoft Outlook <MicrosoftExchange329@dest.example>",
                "Subject: Undeliverable: Offer", "Content-Type: text/html; charset=utf-8", "",
                "<html><head><style>p { color: red }</style></head><body>",
                "<p><b>Delivery has failed to these recipients or groups:</b></p>",
                "<p><a href=\"mailto:ann@dest.example\">ann@dest.example</a> "
                "(ann@dest.example)<br>The address you entered couldn&#39;t be found.</p>",
                "<p>Diagnostic information for administrators:</p>",
                "<p>Generating server: HUB1.dest.example</p>",
                "<p>ann@dest.example<br>Remote Server returned '550 5.1.10 "
                "RESOLVER.ADR.RecipientNotFound; not found'</p>",
                "<p>Original message headers:</p><pre>Received: from x", "</pre></body></html>"}),
          "exchange",
          "ann@dest.example",
          ReportAction::failed,
          "5.1.10",
          "RecipientNotFound",
          "",
          ""};
}

Words gmail() {
  return {
      "gmail",
      mail({"From: Mail Delivery Subsystem <mailer-daemon@g.example>",
            "Subject: Delivery Status Notification (Failure)", "", "** Address not found **", "",
            "Your message wasn\xE2\x80\x99t delivered to ann@dest.example because the "
            "address couldn't be found.",
            "", "The response from the remote server was:",
            "550 5.1.1 The account that you tried to reach is not here.", "",
            "----- Original message -----", "", "Message-ID: <g1@shop.example>"}),
      "gmail",
      "ann@dest.example",
      ReportAction::failed,
      "5.1.1",
      "because the address",
      "",
      "<g1@shop.example>"};
}

Words old_gmail() {
  return {"old_gmail",
          mail({"X-Failed-Recipients: ann@dest.example",
                "From: Mail Delivery Subsystem <mailer-daemon@g.example>", "",
                "Delivery to the following recipient failed permanently:", "",
                "     ann@dest.example", "", "Technical details of permanent failure: ",
                "The server tried to deliver your message, but it was rejected by the server for "
                "the recipient domain dest.example by mx.dest.example. [192.0.2.9].",
                "", "The error that the other server returned was:", "550 5.7.1 Blocked"}),
          "gmail",
          "ann@dest.example",
          ReportAction::failed,
          "5.7.1",
          "Technical details",
          "mx.dest.example",
          ""};
}

Words unknown_words() {
  return {"mailer_daemon",
          mail({"From: MAILER-DAEMON <>", "Subject: Undeliverable mail", "",
                "Could not hand your letter over.", "", "ann@dest.example: 550 go away", "",
                "----- Original message follows -----", "Message-ID: <u1@shop.example>"}),
          "other",
          "ann@dest.example",
          ReportAction::failed,
          "5.0.0",
          "550 go away",
          "",
          "<u1@shop.example>"};
}

INSTANTIATE_TEST_SUITE_P(ReportReader, BouncesInWords,
                         ::testing::Values(qmail(), yahoo(), exim(), exim_delay(), postfix(),
                                           sendmail(), exchange(), gmail(), old_gmail(),
                                           unknown_words()),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(ReportReader, NamesEveryRecipientOfABounceInWords) {
  const Report report = read_report(
      mail({"From: MAILER-DAEMON@q.example", "", "Hi. This is the qmail-send program at q.example.",
            "", "<a@x.example>:", "Sorry, no mailbox here by that name. (#5.1.1)", "",
            "<b@y.example>:", "Sorry, I couldn't find any host named y.example. (#5.1.2)", "",
            "<A@X.example>:", "again", ""}));
  ASSERT_EQ(report.recipients.size(), 2u);
  EXPECT_EQ(report.reporting_mta, "q.example");
  EXPECT_EQ(report.recipients[0].status.to_string(), "5.1.1");
  EXPECT_EQ(report.recipients[1].final_recipient, "b@y.example");
  EXPECT_EQ(report.recipients[1].status.to_string(), "5.1.2");
}

TEST(ReportReader, TakesAddressesOfABounceFromWhereverTheyStand) {
  const Report report = read_report(
      mail({"From: System Administrator <postmaster@x.example>", "Subject: Undelivered mail", "",
            "Sorry. The letter to 'ann@dest.example', which came today,",
            "was over quota. Ask postmaster@x.example.", "", "---- START OF RETURNED MESSAGE ----",
            "From: nobody@else.example"}));
  EXPECT_EQ(report.kind, ReportKind::bounce);
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].final_recipient, "ann@dest.example");
  EXPECT_EQ(report.recipients[0].status.to_string(), "5.2.2");
  // In the words of a person the same says nothing.
  EXPECT_EQ(read_report(mail({"From: ann@dest.example", "", "I wrote to bob@x.example."})).kind,
            ReportKind::other);
}

// ---- what is no bounce ------------------------------------------------------------------------

TEST(ReportReader, RecognisesComplaints) {
  const Report report =
      read_report(mail({"From: <abuse@isp.example>",
                        "Subject: FW: Offer",
                        "MIME-Version: 1.0",
                        "Content-Type: multipart/report; report-type=feedback-report; boundary=b",
                        "",
                        "--b",
                        "Content-Type: text/plain",
                        "",
                        "This is an abuse report.",
                        "--b",
                        "Content-Type: message/feedback-report",
                        "",
                        "Feedback-Type: abuse",
                        "User-Agent: Loop/1.0",
                        "Version: 1",
                        "Original-Mail-From: <b+x@back.example>",
                        "Original-Rcpt-To: <ann@isp.example>",
                        "Original-Envelope-Id: E1",
                        "Reporting-MTA: dns; mail.isp.example",
                        "Source-IP: 192.0.2.1",
                        "--b",
                        "Content-Type: message/rfc822",
                        "",
                        "Message-ID: <f1@shop.example>",
                        "",
                        "x",
                        "--b--"}));
  EXPECT_EQ(report.kind, ReportKind::feedback);
  EXPECT_EQ(report.feedback_type, "abuse");
  EXPECT_EQ(report.original_sender, "b+x@back.example");
  EXPECT_EQ(report.envelope_id, "E1");
  EXPECT_EQ(report.reporting_mta, "mail.isp.example");
  EXPECT_EQ(report.original_message_id, "<f1@shop.example>");
  ASSERT_EQ(report.recipients.size(), 1u);
  EXPECT_EQ(report.recipients[0].final_recipient, "ann@isp.example");
  EXPECT_EQ(report.recipients[0].action, ReportAction::unknown);
  EXPECT_EQ(report.unknown.size(), 3u);  // User-Agent, Version, Source-IP
}

TEST(ReportReader, TellsAutomaticRepliesFromBounces) {
  const auto kind = [](std::string_view field, std::string_view text) {
    return read_report(mail({"From: Ann <ann@dest.example>", field, "", text})).kind;
  };
  EXPECT_EQ(kind("Auto-Submitted: auto-replied (vacation)", "I am away."), ReportKind::auto_reply);
  EXPECT_EQ(kind("X-Autoreply: yes", "A message that you sent could not be delivered to my desk"),
            ReportKind::auto_reply);
  EXPECT_EQ(kind("Precedence: auto_reply", "gone"), ReportKind::auto_reply);
  EXPECT_EQ(kind("Subject: Automatic reply: Offer", "away"), ReportKind::auto_reply);
  EXPECT_EQ(kind("Auto-Submitted: no", "Thanks!"), ReportKind::other);
  EXPECT_EQ(kind("Subject: Re: Offer", "I spoke to bob@x.example: 550 pounds"), ReportKind::other);
  EXPECT_EQ(kind("Auto-Submitted: auto-replied",
                 "This is the mail system at host x.example.\r\n\r\n<bob@x.example>: gone"),
            ReportKind::bounce);
}

TEST(ReportReader, RecognisesReceipts) {
  const Report report = read_report(
      mail({"From: ann@dest.example",
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=b", "",
            "--b", "", "It was displayed.", "--b", "Content-Type: message/disposition-notification",
            "", "Final-Recipient: rfc822; ann@dest.example",
            "Disposition: manual-action/MDN-sent-manually; displayed", "--b--"}));
  EXPECT_EQ(report.kind, ReportKind::receipt);
}

TEST(ReportReader, KeepsTheFirstLineOfWhatItDoesNotUnderstand) {
  const Report report = read_report(mail({"Subject: =?x?q?", "", "", "   ", "Na so was!", "mehr"}));
  EXPECT_EQ(report.kind, ReportKind::other);
  EXPECT_EQ(report.first_line, "Na so was!");
  EXPECT_EQ(read_report("").kind, ReportKind::other);
  EXPECT_EQ(read_report("no header at all").first_line, "no header at all");
}

// ---- hostile input ----------------------------------------------------------------------------

TEST(ReportReader, GivesOneCleanLineForEverything) {
  std::string status =
      "Reporting-MTA: dns; mx\x01\x1b[31m.example\r\n\r\nFinal-Recipient: rfc822; a@\xFFx\r\n"
      "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 \xE2\x80\xAE txt \xC3\r\n";
  status.insert(status.size() - 2, 1, '\0');
  const Report report = read_report(report_mail(status, "8bit"));
  ASSERT_EQ(report.recipients.size(), 1u);
  for (const std::string& text : {report.reporting_mta, report.recipients[0].final_recipient,
                                  report.recipients[0].diagnostic}) {
    EXPECT_FALSE(text.empty());
    EXPECT_EQ(to_printable_line(text), text);
  }
}

/// Reads in pieces as the network gives them; the time that it takes is bounded by the test's.
Report read_slowly(const std::string& octets, std::size_t piece) {
  ReportReader reader;
  const std::string_view all = octets;
  for (std::size_t at = 0; at < all.size(); at += piece) reader.feed(all.substr(at, piece));
  return reader.finish();
}

TEST(ReportReader, DoesNotCareHowTheOctetsCome) {
  const std::string text = report_mail(status_part);
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 64u, 1000u}) {
    const Report report = read_slowly(text, piece);
    EXPECT_EQ(report.recipients.size(), 3u);
    EXPECT_EQ(report.original_message_id, "<77@shop.example>");
  }
}

class WorstInputs : public ::testing::Test {
 protected:
  void TearDown() override {
    const auto taken = std::chrono::steady_clock::now() - begin_;
    EXPECT_LT(taken,
              std::chrono::seconds(10));  // a second or less on any machine without sanitizers
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

TEST_F(WorstInputs, ABounceOf20MBWith5000Parts) {
  std::string text =
      mail({"From: MAILER-DAEMON@x.example", "Subject: failure notice",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b", ""});
  text += "--b\r\nContent-Type: message/delivery-status\r\n\r\n" + std::string(status_part);
  const std::string filler(4000, 'x');
  for (int part = 0; part < 5000; ++part) {
    text += "--b\r\nContent-Type: text/plain\r\n\r\n" + filler + "\r\n";
  }
  text += "--b--\r\n";
  ASSERT_GT(text.size(), 20'000'000u);
  const Report report = read_report(text);
  EXPECT_EQ(report.recipients.size(), 3u);
  EXPECT_TRUE(report.truncated);
}

TEST_F(WorstInputs, PartsNested10000Deep) {
  std::string text;
  for (int depth = 0; depth < 10000; ++depth) {
    const std::string name = "b" + std::to_string(depth);
    text += "Content-Type: multipart/mixed; boundary=" + name + "\r\n\r\n--" + name + "\r\n";
  }
  text += "Content-Type: text/plain\r\n\r\n550 5.1.1\r\n";
  const Report report = read_report(text);
  EXPECT_EQ(report.kind, ReportKind::other);
  EXPECT_TRUE(report.truncated);
}

TEST_F(WorstInputs, EveryLineLikeABoundary) {
  std::string text;
  for (int depth = 0; depth < 20; ++depth) {
    const std::string name = "bb" + std::string(200, 'b') + std::to_string(depth);
    text += "Content-Type: multipart/mixed; boundary=\"" + name + "\"\r\n\r\n--" + name + "\r\n";
  }
  const std::string line = "--bb" + std::string(200, 'b') + "\r\n";
  while (text.size() < 20'000'000) text += line;
  EXPECT_EQ(read_report(text).kind, ReportKind::other);
}

TEST_F(WorstInputs, OneLineOf20MB) {
  EXPECT_EQ(read_slowly(std::string(20'000'000, 'a'), 65536).kind, ReportKind::other);
  EXPECT_EQ(read_slowly("X: " + std::string(20'000'000, '='), 65536).kind, ReportKind::other);
}

TEST_F(WorstInputs, AMillionRecipients) {
  std::string status = "Reporting-MTA: dns; x.example\r\n\r\n";
  for (int i = 0; i < 1'000'000; ++i) status += "Final-Recipient: rfc822; a@x\r\n\r\n";
  const Report report = read_report(report_mail(status));
  EXPECT_EQ(report.recipients.size(), report_recipients_max);
  EXPECT_TRUE(report.truncated);
}

TEST_F(WorstInputs, NothingButAddressesAndPhrases) {
  std::string text = "From: MAILER-DAEMON@x\r\n\r\n";
  for (int i = 0; i < 20000; ++i) {
    text += "<a" + std::to_string(i) + "@x.example>: host by while talking to \r\n";
  }
  EXPECT_LE(read_report(text).recipients.size(), 100u);
  text = "From: MAILER-DAEMON@x\r\n\r\n";
  for (int i = 0; i < 20000; ++i) text += "delivered to reach deliver to ";
  read_report(text);
  text = "From: MAILER-DAEMON@x\r\nContent-Type: text/html\r\n\r\n";
  for (int i = 0; i < 20000; ++i) text += "<p &lt;&&&<<a@b ";
  read_report(text);
}

TEST_F(WorstInputs, HeadersWithoutEnd) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "X-" + std::to_string(i) + ": y\r\n z\r\n";
  EXPECT_EQ(read_report(text).kind, ReportKind::other);
  text = "Content-Type: multipart/mixed;";
  for (int i = 0; i < 20000; ++i) text += "\r\n a*" + std::to_string(i) + "=\"\\";
  read_report(text + "\r\n\r\n");
}

}  // namespace
}  // namespace mansio::dsn
