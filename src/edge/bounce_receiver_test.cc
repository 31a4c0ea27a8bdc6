// Mail to the domain of [bounces], through the handler of a client that may not relay.
#include "edge/bounce_receiver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "base/text.h"
#include "edge/client_handler.h"
#include "edge/fake_admission.h"
#include "testing/run.h"

namespace mansio::edge {
namespace {

using dsn::ReportKind;
using ::testing::HasSubstr;

class BounceReceiverTest : public ::testing::Test {
 protected:
  BounceReceiverTest() {
    bounces_.domain = "back.example";
    bounces_.secret = "0123456789abcdef";
    bounces_.verp = bounces_.envelope_id = true;
    admission_.known_message.recipients = {{0, "ann@dest.example"}, {1, "bob@dest.example"}};
    admission_.known_message.tenant = "shop";
  }

  ClientHandler& handler() {
    if (!handler_) {
      auto profile = std::make_shared<Profile>();
      profile->options.hostname = "mx.example";
      profile->options.lmtp = lmtp_;
      profile->bounces = std::make_shared<const BounceDesk>(bounces_);
      handler_ = std::make_unique<ClientHandler>(admission_, clock_, state_, std::move(profile),
                                                 Endpoint{"192.0.2.9", 4711}, std::nullopt, relays_,
                                                 std::make_shared<WakeList>());
    }
    return *handler_;
  }

  dsn::ReturnTokens tokens() const { return {bounces_.secret, bounces_.domain}; }

  std::string token_address(std::optional<std::uint32_t> recipient) const {
    return tokens().address({id_, recipient}).to_string();
  }

  std::string rcpt(const std::string& address) {
    Recipient recipient;
    recipient.address = Address::parse(address, true).value();
    const Reply reply = handler().rcpt(envelope_, recipient);
    if (reply.positive()) envelope_.recipients.push_back(recipient);
    return reply.to_string();
  }

  /// The replies to a message for what rcpt() took.
  std::vector<std::string> deliver(std::string_view content) {
    envelope_.origin.client_address = "192.0.2.9";
    Reply refusal;
    auto receiver = handler().data(envelope_, refusal);
    envelope_.recipients.clear();
    if (!receiver) return {refusal.to_string()};
    auto writing = receiver->write(content);
    EXPECT_FALSE(fake::run(context_, clock_, std::move(writing)));
    auto finishing = receiver->finish();
    const smtp::ContentVerdict verdict = fake::run(context_, clock_, std::move(finishing));
    if (std::holds_alternative<smtp::NoReply>(verdict)) return {"none"};
    std::vector<std::string> replies;
    for (const Reply& reply : std::get<std::vector<Reply>>(verdict)) {
      replies.push_back(reply.to_string());
    }
    return replies;
  }

  std::uint64_t count(ReportKind kind) const {
    return state_->statistics.bounces.at(static_cast<std::size_t>(kind));
  }

  settings::Bounces bounces_;
  bool relays_ = false;
  bool lmtp_ = false;
  QueueId id_ = *QueueId::parse("01JNB3V8QF7Z9M2K4T6W8Y0ACE");
  Envelope envelope_;
  fake::VirtualClock clock_;
  boost::asio::io_context context_;
  test::FakeAdmission admission_;
  std::shared_ptr<EdgeState> state_ = std::make_shared<EdgeState>();
  std::unique_ptr<ClientHandler> handler_;
};

std::string status_report(const std::string& fields) {
  return "From: MAILER-DAEMON@mx.dest.example\r\n"
         "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
         "--b\r\n\r\nWords.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
         fields + "\r\n--b--\r\n";
}

std::string failure(const std::string& recipient) {
  return "Final-Recipient: rfc822; " + recipient +
         "\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n";
}

const std::string mta = "Reporting-MTA: dns; mx.dest.example\r\n";
constexpr const char* taken = "250 2.0.0 Ok: notice taken";
constexpr const char* vacation = "Auto-Submitted: auto-replied\r\n\r\nI am away.\r\n";

TEST_F(BounceReceiverTest, RecordsANoticeOnTheRecipientThatTheAddressNames) {
  EXPECT_EQ(rcpt(token_address(1)), "250 2.1.5 Ok");
  EXPECT_EQ(deliver(status_report(mta + "\r\n" + failure("bob@dest.example"))),
            std::vector<std::string>{taken});
  ASSERT_EQ(admission_.records.size(), 1u);
  const spool::Record& record = admission_.records[0];
  EXPECT_EQ(record.id, id_);
  EXPECT_EQ(record.recipient, 1u);
  EXPECT_EQ(record.recipient_address, "bob@dest.example");
  EXPECT_EQ(record.tenant, "shop");
  EXPECT_EQ(record.at, clock_.now());
  EXPECT_EQ(record.disposition.outcome, Outcome::failed);
  EXPECT_EQ(record.disposition.reply.to_string(), "550 5.1.1 No such user");
  EXPECT_EQ(record.reason, "notice of mx.dest.example");
  EXPECT_EQ(record.actor, "client 192.0.2.9");
  EXPECT_EQ(count(ReportKind::delivery_status), 1u);
}

TEST_F(BounceReceiverTest, NeverAdmitsOrAnswersByMail_I32_R35) {
  const std::string own_notice =
      status_report(mta + "\r\n" + failure("MAILER-DAEMON@back.example"));
  for (int i = 0; i < 3; ++i) {
    rcpt(token_address(0));
    deliver(own_notice);
  }
  EXPECT_TRUE(admission_.submissions.empty());
}

TEST_F(BounceReceiverTest, TakesOnlyAddressesThatWeGaveOut_I45) {
  const dsn::ReturnTokens others("another secret 16", "back.example");
  for (const std::string& address :
       {others.address({id_, 0}).to_string(), std::string("b+@back.example"),
        std::string("postmaster@back.example"), std::string("ann@BACK.example"),
        tokens().token({id_, 0}) + "@back.example"}) {
    EXPECT_EQ(rcpt(address), "550 5.1.1 No such address") << address;
  }
  EXPECT_EQ(state_->statistics.bounces_refused, 5u);
  EXPECT_EQ(rcpt("ann@elsewhere.example"), "550 5.7.1 Relaying denied");
}

TEST_F(BounceReceiverTest, NeitherCaseNorATrailingDotMatters) {
  const Address address = tokens().address({id_, 0});
  EXPECT_EQ(rcpt("B+" + to_lower(address.local.substr(2)) + "@Back.EXAMPLE"), "250 2.1.5 Ok");
}

TEST_F(BounceReceiverTest, KeepsNoticesAndOtherMailApart) {
  relays_ = true;
  EXPECT_EQ(rcpt("x@y.example"), "250 2.1.5 Ok");
  EXPECT_THAT(rcpt(token_address(0)), HasSubstr("452 4.5.3"));
  envelope_.recipients.clear();
  EXPECT_EQ(rcpt(token_address(0)), "250 2.1.5 Ok");
  EXPECT_THAT(rcpt("x@y.example"), HasSubstr("452 4.5.3"));
  EXPECT_EQ(rcpt("nobody@back.example"), "550 5.1.1 No such address");
}

TEST_F(BounceReceiverTest, FindsTheMessageByItsEnvidAtThePlainAddress) {
  EXPECT_EQ(rcpt("Bounces@back.example"), "250 2.1.5 Ok");
  EXPECT_EQ(deliver(status_report(
                mta + "Original-Envelope-Id: " + tokens().token({id_, std::nullopt}) + "\r\n\r\n" +
                failure("BOB@dest.example") + "\r\n" + failure("list@dest.example"))),
            std::vector<std::string>{taken});
  ASSERT_EQ(admission_.records.size(), 2u);
  EXPECT_EQ(admission_.records[0].recipient, 1u);
  EXPECT_EQ(admission_.records[0].recipient_address, "bob@dest.example");
  EXPECT_EQ(admission_.records[1].recipient, std::nullopt);
  EXPECT_EQ(admission_.records[1].recipient_address, "list@dest.example");
}

TEST_F(BounceReceiverTest, RefusesAtThePlainAddressWhatHasNoTokenOfOurs) {
  for (const std::string& id : {std::string("QQ314159"), tokens().token({id_, 0}) + "0"}) {
    rcpt("bounces@back.example");
    EXPECT_EQ(
        deliver(status_report(mta + "Original-Envelope-Id: " + id + "\r\n\r\n" + failure("a@x"))),
        std::vector<std::string>{"550 5.1.1 This is no notice about a message of this server"});
  }
  EXPECT_TRUE(admission_.records.empty());
  bounces_.envelope_id = false;
  handler_.reset();
  EXPECT_EQ(rcpt("bounces@back.example"), "550 5.1.1 No such address");
}

TEST_F(BounceReceiverTest, RecordsComplaintsAndNeverAnswersThem_R90) {
  rcpt("bounces@back.example");
  deliver(
      "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n"
      "Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
      "Original-Mail-From: <" +
      token_address(0) + ">\r\n--b--\r\n");
  ASSERT_EQ(admission_.records.size(), 1u);
  EXPECT_EQ(admission_.records[0].recipient, 0u);
  EXPECT_EQ(admission_.records[0].reason, "complaint (abuse) of 192.0.2.9");
  EXPECT_EQ(admission_.records[0].disposition.outcome, Outcome::delivered);
  EXPECT_TRUE(admission_.submissions.empty());
  EXPECT_EQ(count(ReportKind::feedback), 1u);
}

TEST_F(BounceReceiverTest, CountsAutomaticRepliesAndRecordsNone_R87) {
  rcpt(token_address(0));
  EXPECT_EQ(deliver(vacation), std::vector<std::string>{taken});
  EXPECT_TRUE(admission_.records.empty());
  EXPECT_EQ(count(ReportKind::auto_reply), 1u);
}

TEST_F(BounceReceiverTest, RecordsWhatItDoesNotUnderstandAsWhatItIs) {
  rcpt(token_address(0));
  deliver("Subject: ?\r\n\r\nNo idea what this is.\r\n");
  ASSERT_EQ(admission_.records.size(), 1u);
  EXPECT_EQ(admission_.records[0].disposition.outcome, Outcome::deferred);
  EXPECT_EQ(admission_.records[0].reason,
            "mail of 192.0.2.9 that is no notice: No idea what this is.");
}

TEST_F(BounceReceiverTest, SaysTakenOnlyWhenItIsDurable) {
  const auto reply = [this](spool::Status status) {
    admission_.status = status;
    rcpt(token_address(0));
    return deliver(status_report(mta + "\r\n" + failure("ann@dest.example"))).front();
  };
  EXPECT_EQ(reply(spool::Status::committed), taken);
  EXPECT_EQ(reply(spool::Status::unknown), "none");
  EXPECT_THAT(reply(spool::Status::full), HasSubstr("452 4.3.1"));
  EXPECT_THAT(reply(spool::Status::refused), HasSubstr("451 4.3.0"));
}

TEST_F(BounceReceiverTest, FillsNoHistoryWithNotices) {
  admission_.known_message.notices = 2 * notices_per_recipient_max;
  rcpt(token_address(0));
  EXPECT_EQ(deliver(status_report(mta + "\r\n" + failure("ann@dest.example"))),
            std::vector<std::string>{taken});
  EXPECT_TRUE(admission_.records.empty());
  // One notice with very many recipients.
  admission_.known_message.notices = 0;
  std::string fields =
      mta + "Original-Envelope-Id: " + tokens().token({id_, std::nullopt}) + "\r\n";
  for (int i = 0; i < 1000; ++i) fields += "\r\n" + failure("r" + std::to_string(i) + "@x.example");
  rcpt("bounces@back.example");
  deliver(status_report(fields));
  EXPECT_EQ(admission_.records.size(), 2 * notices_per_recipient_max);
}

TEST_F(BounceReceiverTest, AnAddressNamedTwiceIsToldOnce) {
  for (int i = 0; i < 3; ++i) rcpt(token_address(0));
  deliver(status_report(mta + "\r\n" + failure("ann@dest.example")));
  EXPECT_EQ(admission_.records.size(), 1u);
}

TEST_F(BounceReceiverTest, LmtpHasAReplyForEach) {
  lmtp_ = true;
  rcpt("bounces@back.example");
  rcpt(token_address(0));
  const auto replies = deliver(status_report(mta + "\r\n" + failure("ann@dest.example")));
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_THAT(replies[0], HasSubstr("550 5.1.1"));
  EXPECT_EQ(replies[1], taken);
}

}  // namespace
}  // namespace mansio::edge
