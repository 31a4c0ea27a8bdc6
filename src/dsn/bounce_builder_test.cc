// Builds notices and reads them again with a small MIME reader of the test's own, so that what is
// compared is what a receiving program finds.
#include "dsn/bounce_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "dsn/delivery_status.h"
#include "dsn/mime.h"

namespace mansio::dsn {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;

using Fields = std::multimap<std::string, std::string>;

/// Splits at CRLF; fails the test on a bare CR or LF.
std::vector<std::string> lines_of(std::string_view octets) {
  std::vector<std::string> lines;
  while (!octets.empty()) {
    const std::size_t end = octets.find("\r\n");
    lines.emplace_back(octets.substr(0, end));
    EXPECT_EQ(lines.back().find_first_of("\r\n"), std::string::npos) << lines.back();
    octets.remove_prefix(end == std::string_view::npos ? octets.size() : end + 2);
  }
  return lines;
}

Fields fields_of(std::string_view section) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const std::string& line : lines_of(section)) {
    if (line.empty()) continue;
    EXPECT_LE(line.size(), 998U);
    if (line.front() == ' ') {
      EXPECT_FALSE(found.empty());
      if (!found.empty()) found.back().second += line;
      continue;
    }
    const std::size_t colon = line.find(": ");
    EXPECT_NE(colon, std::string::npos) << line;
    if (colon != std::string::npos)
      found.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return {found.begin(), found.end()};
}

struct Part {
  Fields fields;
  std::string body;
};

struct Report {
  Fields header;
  std::vector<Part> parts;
};

Part split_part(const std::string& octets) {
  const std::size_t empty_line = octets.find("\r\n\r\n");
  EXPECT_NE(empty_line, std::string::npos);
  return {fields_of(octets.substr(0, empty_line)), octets.substr(empty_line + 4)};
}

Report read_report(const std::string& octets) {
  Report report;
  const Part whole = split_part(octets);
  report.header = whole.fields;
  const std::string type = report.header.find("Content-Type")->second;
  const std::size_t quote = type.find("boundary=\"") + 10;
  const std::string delimiter = "\r\n--" + type.substr(quote, type.find('"', quote) - quote);
  std::size_t at = octets.find(delimiter);
  while (at != std::string::npos && octets.compare(at + delimiter.size(), 2, "--") != 0) {
    const std::size_t start = at + delimiter.size() + 2;
    at = octets.find(delimiter, start);
    EXPECT_NE(at, std::string::npos) << "no closing delimiter";
    report.parts.push_back(split_part(octets.substr(start, at - start)));
  }
  return report;
}

/// The delivery report as blocks of fields: the message's, then one per recipient.
std::vector<Fields> blocks_of(const std::string& status) {
  std::vector<Fields> blocks;
  std::size_t at = 0;
  while (at != std::string::npos) {
    const std::size_t end = status.find("\r\n\r\n", at);
    blocks.push_back(fields_of(status.substr(at, end == std::string::npos ? end : end - at)));
    at = end == std::string::npos ? end : end + 4;
  }
  return blocks;
}

std::string one(const Fields& fields, const std::string& name) {
  EXPECT_EQ(fields.count(name), 1U) << name;
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

QueueId id_of(std::uint8_t last) {
  QueueId id;
  id.octets[15] = last;
  return id;
}

constexpr std::string_view header_octets =
    "From: Ann <ann@sender.example>\r\nSubject: Hello\r\nMessage-ID: <1@sender.example>\r\n\r\n";

/// A message of ann's to bob with a refusal, to be changed by each test.
class Notices : public testing::Test {
 protected:
  Notices() {
    original.id = id_of(1);
    original.envelope.reverse_path = Address::parse("ann@sender.example", false).value();
    add_recipient("bob@dest.example");
    original.accepted_at = parse_rfc3339("2026-03-01T12:00:00.000Z").value();
    set_content(std::string(header_octets) + "The body.\r\n");
    fail(0).disposition = refusal();
  }

  Recipient& add_recipient(const std::string& address) {
    Recipient recipient;
    recipient.address = Address::parse(address, true).value();
    recipient.original = recipient.address;
    original.envelope.recipients.push_back(recipient);
    return original.envelope.recipients.back();
  }

  ReportedRecipient& fail(std::uint32_t index) {
    ReportedRecipient one_more;
    one_more.index = index;
    one_more.tries = 1;
    one_more.last_attempt = parse_rfc3339("2026-03-01T12:00:05.000Z").value();
    failed.push_back(one_more);
    return failed.back();
  }

  static Disposition refusal() {
    Disposition disposition;
    disposition.outcome = Outcome::failed;
    disposition.reply.code = 550;
    disposition.reply.enhanced = {5, 1, 1};
    disposition.reply.text = "No such user";
    disposition.stage = Stage::rcpt;
    disposition.host = "mx.dest.example";
    disposition.address = "192.0.2.1:25";
    return disposition;
  }

  void set_content(std::string octets) {
    ContentScanner scanner;
    scanner.feed(octets);
    original.content.facts = scanner.finish();
    content = std::move(octets);
  }

  Notice build() {
    const bool failure =
        std::ranges::any_of(failed, [](const auto& one) { return one.action == Action::failed; });
    NoticeRequest request{.original = original,
                          .recipients = failed,
                          .audience = audience,
                          .to = audience == Audience::sender
                                    ? original.envelope.reverse_path
                                    : Address::parse("postmaster@mail.example.org", false).value(),
                          .hostname = "mail.example.org",
                          .returned = returned_part(original, failure, fallback, return_max),
                          .octets = content,
                          .return_max = return_max,
                          .id = id_of(2),
                          .now = parse_rfc3339("2026-03-01T12:00:06.000Z").value(),
                          .lifetime = std::chrono::hours(24),
                          .random = 42};
    return make_bounce_builder(words)->build(request).value();
  }

  Report report() { return read_report(*build().message.content.octets); }

  std::vector<Fields> blocks() { return blocks_of(report().parts.at(1).body); }

  Message original;
  std::string content;
  std::vector<ReportedRecipient> failed;
  Returned fallback = Returned::headers;
  std::uint64_t return_max = 50 * 1024;
  Audience audience = Audience::sender;
  HumanText words;
};

TEST_F(Notices, AreMessagesThatNothingCanAnswer) {
  original.tenant = "acme";
  const Notice notice = build();
  const Message& message = notice.message;
  EXPECT_TRUE(message.envelope.reverse_path.is_null());
  ASSERT_EQ(message.envelope.recipients.size(), 1U);
  EXPECT_EQ(message.envelope.recipients[0].address.to_string(), "ann@sender.example");
  EXPECT_EQ(message.envelope.recipients[0].original.to_string(), "ann@sender.example");
  EXPECT_TRUE(message.envelope.recipients[0].notify.never);
  EXPECT_EQ(message.envelope.dsn_return, DsnReturn::unspecified);
  EXPECT_EQ(message.envelope.body, BodyType::seven_bit);
  EXPECT_EQ(message.envelope.origin.protocol, "notice");
  EXPECT_TRUE(message.is_notice);
  EXPECT_EQ(message.tenant, "acme");
  EXPECT_EQ(message.klass, PriorityClass::normal);
  EXPECT_EQ(message.id, id_of(2));
  EXPECT_EQ(message.content.id, id_of(2));
  EXPECT_EQ(message.expires_at - message.accepted_at, Duration(std::chrono::hours(24)));
  EXPECT_EQ(message.content.facts.size, message.content.octets->size());
  EXPECT_EQ(notice_action(message, 0, refusal(), NextHop::relay).silence, Silence::about_notice);
}

TEST_F(Notices, HaveTheHeaderOfAnAutomaticReply) {
  const Fields header = report().header;
  EXPECT_EQ(one(header, "Date"), "Sun, 1 Mar 2026 12:00:06 +0000");
  EXPECT_EQ(one(header, "From"), "Mail Delivery System <MAILER-DAEMON@mail.example.org>");
  EXPECT_EQ(one(header, "To"), "<ann@sender.example>");
  EXPECT_EQ(one(header, "Auto-Submitted"), "auto-replied");
  EXPECT_EQ(one(header, "MIME-Version"), "1.0");
  EXPECT_EQ(one(header, "Message-ID"), "<" + id_of(2).to_string() + "@mail.example.org>");
  EXPECT_FALSE(one(header, "Subject").empty());
  EXPECT_THAT(one(header, "Content-Type"),
              HasSubstr("multipart/report; report-type=delivery-status;"));
}

TEST_F(Notices, HaveTheThreePartsOfAReport) {
  const Report read = report();
  ASSERT_EQ(read.parts.size(), 3U);
  EXPECT_EQ(one(read.parts[0].fields, "Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(one(read.parts[1].fields, "Content-Type"), "message/delivery-status");
  EXPECT_EQ(one(read.parts[2].fields, "Content-Type"), "text/rfc822-headers");
  EXPECT_EQ(read.parts[2].body, std::string(header_octets.substr(0, header_octets.size() - 2)));
}

TEST_F(Notices, TellPeopleWhoWhyAndWhatNext) {
  const std::string text = report().parts.at(0).body;
  EXPECT_THAT(text, HasSubstr("<bob@dest.example>"));
  EXPECT_THAT(text, HasSubstr("mx.dest.example (192.0.2.1:25)"));
  EXPECT_THAT(text, HasSubstr("550 5.1.1 No such user"));
  EXPECT_THAT(text, HasSubstr("Check the spelling"));
  EXPECT_THAT(text, HasSubstr("Subject: Hello"));
  EXPECT_THAT(text, HasSubstr("1 try, the last at Sun, 1 Mar 2026 12:00:05 +0000."));
}

TEST_F(Notices, TellProgramsTheSame) {
  original.envelope.envelope_id = "QQ+2B1";
  original.envelope.recipients[0].original_recipient = "rfc822;bob+2Btag@dest.example";
  const auto read = blocks();
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(one(read[0], "Reporting-MTA"), "dns; mail.example.org");
  EXPECT_EQ(one(read[0], "Original-Envelope-Id"), "QQ+1");
  EXPECT_EQ(one(read[0], "Arrival-Date"), "Sun, 1 Mar 2026 12:00:00 +0000");
  EXPECT_EQ(one(read[0], "X-Mansio-Queue-Id"), id_of(1).to_string());
  EXPECT_EQ(one(read[1], "Original-Recipient"), "rfc822; bob+tag@dest.example");
  EXPECT_EQ(one(read[1], "Final-Recipient"), "rfc822; bob@dest.example");
  EXPECT_EQ(one(read[1], "Action"), "failed");
  EXPECT_EQ(one(read[1], "Status"), "5.1.1");
  EXPECT_EQ(one(read[1], "Remote-MTA"), "dns; mx.dest.example");
  EXPECT_EQ(one(read[1], "Diagnostic-Code"), "smtp; 550 5.1.1 No such user");
  EXPECT_EQ(one(read[1], "Last-Attempt-Date"), "Sun, 1 Mar 2026 12:00:05 +0000");
}

TEST_F(Notices, LeaveOutWhatIsNotKnown) {
  failed[0].disposition.host.clear();
  failed[0].disposition.reply = {};
  failed[0].disposition.cause = Cause::policy;
  failed[0].last_attempt = Time{};
  const auto read = blocks();
  EXPECT_THAT(read[0], Not(Contains(Key("Original-Envelope-Id"))));
  for (const char* name : {"Original-Recipient", "Remote-MTA", "Diagnostic-Code",
                           "Last-Attempt-Date", "Will-Retry-Until"}) {
    EXPECT_THAT(read[1], Not(Contains(Key(name)))) << name;
  }
  EXPECT_EQ(one(read[1], "Status"), "5.0.0");
}

TEST_F(Notices, NameTheAddressThatTheSenderUsed) {
  original.envelope.recipients[0].address =
      Address::parse("elsewhere@other.example", false).value();
  EXPECT_EQ(one(blocks()[1], "Final-Recipient"), "rfc822; bob@dest.example");
  EXPECT_THAT(*build().message.content.octets, Not(HasSubstr("elsewhere")));
}

TEST_F(Notices, CarryOneBlockPerRecipientInOrder) {
  add_recipient("carol@dest.example");
  add_recipient("\"dan  d\"@dest.example");
  fail(2).disposition = refusal();
  const auto read = blocks();
  ASSERT_EQ(read.size(), 3U);
  EXPECT_EQ(one(read[1], "Final-Recipient"), "rfc822; bob@dest.example");
  EXPECT_EQ(one(read[2], "Final-Recipient"), "rfc822; \"dan  d\"@dest.example");
  EXPECT_THAT(report().parts[0].body, Not(HasSubstr("carol")));
}

TEST_F(Notices, ReportAnExpiredRecipientWithItsLastReply) {
  Disposition& disposition = failed[0].disposition;
  disposition.outcome = Outcome::expired;
  disposition.cause = Cause::lifetime;
  disposition.reply.code = 451;
  disposition.reply.enhanced = {4, 3, 0};
  disposition.reply.text = "Try later";
  const auto read = blocks();
  EXPECT_EQ(one(read[1], "Action"), "failed");
  EXPECT_EQ(one(read[1], "Status"), "5.4.7");
  EXPECT_EQ(one(read[1], "Diagnostic-Code"), "smtp; 451 4.3.0 Try later");
}

TEST_F(Notices, NameNoServerThatCouldNotBeReached) {
  Disposition& disposition = failed[0].disposition;
  disposition.outcome = Outcome::expired;
  disposition.cause = Cause::lifetime;
  disposition.stage = Stage::connect;
  disposition.reply.code = 451;
  disposition.reply.enhanced = {4, 4, 1};
  disposition.reply.text = "cannot connect to 192.0.2.1:25: Connection refused";
  const auto read = blocks();
  EXPECT_THAT(read[1], Not(Contains(Key("Remote-MTA"))));
  EXPECT_EQ(one(read[1], "Diagnostic-Code"),
            "x-mansio; 451 4.4.1 cannot connect to 192.0.2.1:25: Connection refused");
}

TEST_F(Notices, DoNotCallAFindingOfOursAReply) {
  Disposition& disposition = failed[0].disposition;
  disposition.cause = Cause::dns;
  disposition.host.clear();
  disposition.reply.code = 0;
  disposition.reply.enhanced = {5, 1, 2};
  disposition.reply.text = "no such domain";
  const auto read = blocks();
  EXPECT_THAT(read[1], Not(Contains(Key("Remote-MTA"))));
  EXPECT_EQ(one(read[1], "Diagnostic-Code"), "x-mansio; 5.1.2 no such domain");
  EXPECT_EQ(one(read[1], "Status"), "5.1.2");
}

TEST_F(Notices, LetNoPeerStartALineOfItsOwn) {
  failed[0].disposition.reply.text =
      "bad\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; evil@x\n--boundary\r\x1b[2J" +
      std::string("\0", 1) + " \xC3\xA4 \xFF";
  failed[0].disposition.host = "mx\r\nAction: relayed";
  const Report read = report();
  ASSERT_EQ(read.parts.size(), 3U);
  const auto status = blocks_of(read.parts[1].body);
  ASSERT_EQ(status.size(), 2U);
  EXPECT_EQ(one(status[1], "Action"), "failed");
  EXPECT_EQ(one(status[1], "Final-Recipient"), "rfc822; bob@dest.example");
  EXPECT_THAT(one(status[1], "Diagnostic-Code"), HasSubstr("\\x1B[2J\\x00 \\xC3\\xA4 \\xFF"));
  EXPECT_TRUE(is_seven_bit(*build().message.content.octets));
}

TEST_F(Notices, FoldAndCapALongReply) {
  for (int i = 0; i < 1000; ++i) failed[0].disposition.reply.text += " word" + std::to_string(i);
  EXPECT_LE(one(blocks()[1], "Diagnostic-Code").size(), 1600U);
  failed[0].disposition.reply.text = std::string(100000, 'x');
  EXPECT_LE(one(blocks()[1], "Diagnostic-Code").size(), 1600U);  // fields_of checks the lines
}

TEST_F(Notices, ReturnTheHeaderUnlessAllWasAskedFor) {
  original.envelope.dsn_return = DsnReturn::headers;
  fallback = Returned::full;
  EXPECT_EQ(one(report().parts.at(2).fields, "Content-Type"), "text/rfc822-headers");
  original.envelope.dsn_return = DsnReturn::full;
  fallback = Returned::nothing;
  EXPECT_EQ(one(report().parts.at(2).fields, "Content-Type"), "message/rfc822");
  EXPECT_EQ(report().parts.at(2).body, content);
  original.envelope.dsn_return = DsnReturn::unspecified;
  EXPECT_EQ(report().parts.size(), 2U);
}

TEST_F(Notices, ReturnOnlyTheHeaderOfWhatIsTooBig) {
  original.envelope.dsn_return = DsnReturn::full;
  set_content(std::string(header_octets) + std::string(60000, 'x') + "\r\n");
  EXPECT_EQ(one(report().parts.at(2).fields, "Content-Type"), "text/rfc822-headers");
  EXPECT_THAT(report().parts.at(2).body, Not(HasSubstr("xxx")));
}

TEST_F(Notices, CutALongHeaderAtALine) {
  std::string long_header;
  for (int i = 0; i < 100; ++i)
    long_header += "X-Field-" + std::to_string(i) + ": " + std::string(50, 'v') + "\r\n";
  set_content(long_header + "\r\nbody\r\n");
  return_max = 1000;
  const std::string body = report().parts.at(2).body;
  EXPECT_LE(body.size(), 1000U);
  EXPECT_TRUE(body.ends_with("v\r\n"));
  EXPECT_EQ(body, long_header.substr(0, body.size()));
}

TEST_F(Notices, StayInSevenBitsUnlessTheWholeOriginalIsReturned) {
  set_content(
      "Subject: Gr\xC3\xBC\xC3\x9F"
      "e\r\nX-Bad: \xFF\r\n\r\nK\xC3\xB6rper\r\n");
  Notice notice = build();
  EXPECT_TRUE(is_seven_bit(*notice.message.content.octets));
  EXPECT_EQ(notice.message.envelope.body, BodyType::seven_bit);
  EXPECT_THAT(*notice.message.content.octets, HasSubstr("X-Bad: =FF"));
  original.envelope.dsn_return = DsnReturn::full;
  notice = build();
  EXPECT_EQ(notice.message.envelope.body, BodyType::eight_bit_mime);
  EXPECT_THAT(*notice.message.content.octets, HasSubstr("\r\n\r\nK\xC3\xB6rper\r\n"));
}

TEST_F(Notices, SurviveAnOriginalThatImitatesTheBoundary) {
  const std::string guessed = "mansio-" + id_of(2).to_string() + "-000000000000002a";
  set_content("Subject: x\r\nX-A: y\r\n\r\n--" + guessed + "--\r\n\r\n--" + guessed + "\r\n\r\n");
  original.envelope.dsn_return = DsnReturn::full;
  ASSERT_EQ(report().parts.size(), 3U);
  EXPECT_EQ(report().parts[2].body, content);
}

TEST_F(Notices, ReturnAnEmptyHeaderSectionAsAnEmptyPart) {
  set_content("\r\nbody only\r\n");
  ASSERT_EQ(report().parts.size(), 3U);
  EXPECT_EQ(report().parts[2].body, "");
}

TEST_F(Notices, AreTheSameForTheSameRequest) {
  EXPECT_EQ(*build().message.content.octets, *build().message.content.octets);
}

TEST_F(Notices, TellOfADelayUntilWhenAndWhy) {
  original.expires_at = parse_rfc3339("2026-03-06T12:00:00.000Z").value();
  failed[0].action = Action::delayed;
  failed[0].disposition.outcome = Outcome::deferred;
  failed[0].disposition.reply = {451, {4, 3, 2}, "busy"};
  failed[0].tries = 7;
  original.envelope.dsn_return = DsnReturn::full;
  const Report read = report();
  EXPECT_THAT(one(read.header, "Subject"), HasSubstr("delayed"));
  const auto status = blocks_of(read.parts.at(1).body);
  EXPECT_EQ(one(status[1], "Action"), "delayed");
  EXPECT_EQ(one(status[1], "Status"), "4.3.2");
  EXPECT_EQ(one(status[1], "Will-Retry-Until"), "Fri, 6 Mar 2026 12:00:00 +0000");
  EXPECT_EQ(one(status[1], "X-Mansio-Tries"), "7");
  const std::string& text = read.parts.at(0).body;
  EXPECT_THAT(text, HasSubstr("Fri, 6 Mar 2026\r\n12:00:00"));
  EXPECT_THAT(text, HasSubstr("451 4.3.2 busy"));
  EXPECT_THAT(text, Not(HasSubstr("no further")));
  EXPECT_EQ(one(read.parts.at(2).fields, "Content-Type"), "text/rfc822-headers");
}

TEST_F(Notices, TellOfADelayWithoutATry) {
  failed[0].action = Action::delayed;
  failed[0].disposition = {};
  failed[0].disposition.reply = {0, {4, 4, 1}, "no host could be reached"};
  failed[0].disposition.cause = Cause::network;
  failed[0].tries = 0;
  failed[0].last_attempt = Time{};
  const Report read = report();
  const auto status = blocks_of(read.parts.at(1).body);
  EXPECT_EQ(one(status[1], "Status"), "4.4.1");
  EXPECT_THAT(status[1], Not(Contains(Key("Last-Attempt-Date"))));
  EXPECT_THAT(read.parts[0].body, HasSubstr("There was no try yet."));
  EXPECT_THAT(read.parts[0].body, HasSubstr("no host could be reached"));
}

TEST_F(Notices, TellOfSuccessUnderItsTwoNames) {
  Disposition& disposition = failed[0].disposition;
  disposition.outcome = Outcome::delivered;
  disposition.reply = {250, {2, 1, 5}, "ok"};
  failed[0].action = Action::relayed;
  auto status = blocks();
  EXPECT_EQ(one(status[1], "Action"), "relayed");
  EXPECT_EQ(one(status[1], "Status"), "2.1.5");
  EXPECT_EQ(one(status[1], "Diagnostic-Code"), "smtp; 250 2.1.5 ok");
  EXPECT_THAT(one(report().header, "Subject"), HasSubstr("passed on"));
  failed[0].action = Action::delivered;
  disposition.reply.enhanced = {};
  status = blocks();
  EXPECT_EQ(one(status[1], "Action"), "delivered");
  EXPECT_EQ(one(status[1], "Status"), "2.0.0");
  EXPECT_THAT(one(report().header, "Subject"), HasSubstr("delivered"));
  EXPECT_THAT(report().parts[0].body, Not(HasSubstr("Check the spelling")));
}

TEST_F(Notices, HoldDifferentActionsAtOnce) {
  add_recipient("carol@dest.example");
  fail(1).action = Action::delivered;
  failed[1].disposition.outcome = Outcome::delivered;
  failed[1].disposition.reply = {250, {2, 0, 0}, "ok"};
  const Report read = report();
  const auto status = blocks_of(read.parts.at(1).body);
  ASSERT_EQ(status.size(), 3U);
  EXPECT_EQ(one(status[1], "Action"), "failed");
  EXPECT_EQ(one(status[2], "Action"), "delivered");
  EXPECT_EQ(one(status[2], "Final-Recipient"), "rfc822; carol@dest.example");
  EXPECT_THAT(one(read.header, "Subject"), HasSubstr("not all recipients"));
  const std::string& text = read.parts[0].body;
  EXPECT_LT(text.find("could not be delivered"), text.find("<bob@dest.example>"));
  EXPECT_LT(text.find("<bob@dest.example>"), text.find("was delivered to the recipients"));
  EXPECT_LT(text.find("was delivered to the recipients"), text.find("<carol@dest.example>"));
}

TEST_F(Notices, N11_ShowTheLastTriesToPeopleAndTheLastReplyToPrograms) {
  for (int i = 0; i < 9; ++i) {
    PastAttempt attempt;
    attempt.at = parse_rfc3339("2026-03-01T13:00:00.000Z").value() + std::chrono::minutes(i);
    attempt.host = "mx" + std::to_string(i) + ".dest.example";
    attempt.reply = {451, {4, 2, 0}, "answer " + std::to_string(i) + "\r\n\r\n<evil@x>"};
    failed[0].attempts.push_back(attempt);
  }
  failed[0].tries = 900;
  const Report read = report();
  const std::string& text = read.parts.at(0).body;
  EXPECT_THAT(text, HasSubstr("900 tries"));
  EXPECT_THAT(text, HasSubstr("The last 5 tries:"));
  EXPECT_THAT(text, Not(HasSubstr("answer 3")));
  for (int i = 4; i < 9; ++i) EXPECT_THAT(text, HasSubstr("answer " + std::to_string(i)));
  EXPECT_THAT(text, HasSubstr("13:08:00 +0000, mx8.dest.example: 451 4.2.0"));
  EXPECT_THAT(text, Not(HasSubstr("\r\n<evil@x>")));
  const auto status = blocks_of(read.parts.at(1).body);
  EXPECT_EQ(one(status[1], "Diagnostic-Code"), "smtp; 550 5.1.1 No such user");
  failed[0].attempts.resize(1);
  EXPECT_THAT(report().parts.at(0).body, Not(HasSubstr("The last 1")));
}

TEST_F(Notices, R54_SpeakRfc6533ToASenderWhoseAddressNeedsIt) {
  original.envelope.smtputf8 = true;
  original.envelope.reverse_path = Address::parse("\xC3\xA4nn@sender.example", true).value();
  original.envelope.recipients[0].original_recipient = "utf-8;b\\x{F6}b\\x{2B}x@dest.example";
  add_recipient("j\xC3\xB6rg+x@dest.example");
  fail(1).disposition = refusal();
  set_content(
      "Subject: Gr\xC3\xBC\xC3\x9F"
      "e\r\n\r\nbody\r\n");
  Notice notice = build();
  EXPECT_TRUE(notice.message.envelope.smtputf8);
  Report read = read_report(*notice.message.content.octets);
  EXPECT_EQ(one(read.header, "To"), "<\xC3\xA4nn@sender.example>");
  EXPECT_THAT(one(read.header, "Content-Type"), HasSubstr("report-type=global-delivery-status"));
  EXPECT_EQ(one(read.parts.at(1).fields, "Content-Type"), "message/global-delivery-status");
  EXPECT_EQ(one(read.parts[1].fields, "Content-Transfer-Encoding"), "8bit");
  const auto status = blocks_of(read.parts[1].body);
  EXPECT_EQ(one(status[1], "Original-Recipient"),
            "utf-8; b\xC3\xB6"
            "b\\x{2B}x@dest.example");
  EXPECT_EQ(one(status[1], "Final-Recipient"), "rfc822; bob@dest.example");
  EXPECT_EQ(one(status[2], "Final-Recipient"), "utf-8; j\xC3\xB6rg\\x{2B}x@dest.example");
  EXPECT_EQ(one(read.parts.at(2).fields, "Content-Type"), "message/global-headers");
  EXPECT_THAT(read.parts[2].body, HasSubstr("Gr\xC3\xBC\xC3\x9F"
                                            "e"));
  EXPECT_EQ(notice.message.envelope.body, BodyType::eight_bit_mime);
  original.envelope.dsn_return = DsnReturn::full;
  EXPECT_EQ(one(report().parts.at(2).fields, "Content-Type"), "message/global");
}

TEST_F(Notices, R54_StayReadableForAnAsciiSenderOfInternationalMail) {
  original.envelope.smtputf8 = true;
  original.envelope.recipients[0] = {};
  original.envelope.recipients[0].address =
      Address::parse("j\xC3\xB6rg@dest.example", true).value();
  original.envelope.recipients[0].original_recipient = "utf-8;j\\x{F6}rg@dest.example";
  set_content(
      "Subject: Gr\xC3\xBC\xC3\x9F"
      "e\r\n\r\nbody\r\n");
  const Notice notice = build();
  EXPECT_FALSE(notice.message.envelope.smtputf8);
  EXPECT_TRUE(is_seven_bit(*notice.message.content.octets));
  const Report read = read_report(*notice.message.content.octets);
  EXPECT_EQ(one(read.parts.at(1).fields, "Content-Type"), "message/delivery-status");
  const auto status = blocks_of(read.parts[1].body);
  EXPECT_EQ(one(status[1], "Original-Recipient"), "utf-8; j\\x{F6}rg@dest.example");
  EXPECT_EQ(one(status[1], "Final-Recipient"), "utf-8; j\\x{F6}rg@dest.example");
  EXPECT_EQ(one(read.parts.at(2).fields, "Content-Type"), "message/global-headers");
}

TEST_F(Notices, GoToThePostmasterAsACopy) {
  audience = Audience::postmaster;
  Notice notice = build();
  EXPECT_EQ(notice.message.envelope.recipients.at(0).address.to_string(),
            "postmaster@mail.example.org");
  Report read = read_report(*notice.message.content.octets);
  EXPECT_EQ(one(read.header, "To"), "<postmaster@mail.example.org>");
  EXPECT_THAT(one(read.header, "Subject"), HasSubstr("Postmaster copy"));
  EXPECT_THAT(read.parts.at(0).body, HasSubstr("A message of <ann@sender.example>"));
  audience = Audience::double_bounce;
  original.envelope.reverse_path = {};
  original.is_notice = true;
  notice = build();
  read = read_report(*notice.message.content.octets);
  EXPECT_THAT(one(read.header, "Subject"), HasSubstr("Undelivered notice"));
  EXPECT_THAT(read.parts.at(0).body, Not(HasSubstr("Your message")));
}

TEST_F(Notices, slimta_40_TakeTheWordsOfASiteAndKeepTheFields) {
  words = [](const NoticeRequest& request) {
    return "Dear " + request.to.to_string() + ",\nit did not work.\n--boundary\n";
  };
  const Report read = report();
  ASSERT_EQ(read.parts.size(), 3U);
  EXPECT_THAT(read.parts[0].body, HasSubstr("Dear ann@sender.example,\r\nit did not work.\r\n"));
  EXPECT_EQ(one(blocks_of(read.parts[1].body)[1], "Status"), "5.1.1");
}

TEST(StatusOf, FallsBackToTheClassOfTheReply) {
  const auto status = [](std::uint16_t code, EnhancedCode enhanced) {
    Disposition disposition;
    disposition.outcome = Outcome::failed;
    disposition.reply.code = code;
    disposition.reply.enhanced = enhanced;
    return status_of(disposition).to_string();
  };
  EXPECT_EQ(status(550, {5, 7, 1}), "5.7.1");
  EXPECT_EQ(status(550, {}), "5.0.0");
  EXPECT_EQ(status(550, {2, 0, 0}), "5.0.0");
  EXPECT_EQ(status(550, {4, 2, 2}), "5.0.0");
  EXPECT_EQ(status(451, {4, 3, 0}), "4.3.0");  // tries_max reached: the last reply stands
  EXPECT_EQ(status(451, {}), "4.0.0");
  EXPECT_EQ(status(0, {}), "5.0.0");
  EXPECT_EQ(status(0, {4, 4, 1}), "4.4.1");
}

}  // namespace
}  // namespace mansio::dsn
