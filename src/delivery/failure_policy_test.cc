#include "delivery/failure_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mansio::delivery {
namespace {

constexpr Outcome kDelivered = Outcome::delivered;
constexpr Outcome kDeferred = Outcome::deferred;
constexpr Outcome kFailed = Outcome::failed;

Event replied(Stage stage, std::uint16_t code, const std::string& enhanced = "") {
  Event event;
  event.stage = stage;
  event.reply.code = code;
  event.reply.enhanced = EnhancedCode::parse(enhanced).value_or(EnhancedCode{});
  return event;
}

Event caused(Stage stage, Cause cause) {
  Event event;
  event.stage = stage;
  event.cause = cause;
  event.reply.text = "what happened";
  return event;
}

TEST(FailurePolicy, ClassifiesRepliesOfATransaction) {
  struct Row {
    Stage stage;
    std::uint16_t code;
    std::string enhanced;
    Outcome outcome;
    bool another_transaction;
    bool reusable;
  };

  const std::vector<Row> rows = {
      {Stage::mail, 250, "2.1.0", kDelivered, false, true},
      {Stage::rcpt, 250, "", kDelivered, false, true},
      {Stage::rcpt, 251, "", kDelivered, false, true},
      {Stage::rcpt, 252, "", kDelivered, false, true},
      {Stage::data, 354, "", kDelivered, false, true},
      {Stage::final_dot, 250, "2.0.0", kDelivered, false, true},
      {Stage::final_dot, 299, "", kDelivered, false, true},
      {Stage::mail, 450, "", kDeferred, false, true},
      {Stage::mail, 550, "", kFailed, false, true},
      {Stage::mail, 552, "", kFailed, false, true},
      {Stage::mail, 552, "5.3.4", kFailed, false, true},
      {Stage::rcpt, 450, "4.2.1", kDeferred, false, true},
      {Stage::rcpt, 550, "5.1.1", kFailed, false, true},
      {Stage::rcpt, 553, "", kFailed, false, true},
      {Stage::rcpt, 556, "5.1.10", kFailed, false, true},
      {Stage::rcpt, 571, "", kFailed, false, true},
      // Too many recipients, in the old spelling and the new.
      {Stage::rcpt, 452, "4.5.3", kDeferred, true, true},
      {Stage::rcpt, 452, "", kDeferred, true, true},
      {Stage::rcpt, 552, "", kDeferred, true, true},
      {Stage::rcpt, 552, "5.5.3", kDeferred, true, true},
      {Stage::rcpt, 552, "5.2.2", kFailed, false, true},
      {Stage::rcpt, 452, "4.2.2", kDeferred, false, true},
      {Stage::rcpt, 452, "4.3.1", kDeferred, false, true},
      {Stage::data, 451, "", kDeferred, false, true},
      {Stage::data, 554, "5.5.1", kFailed, false, true},
      {Stage::data, 250, "", kDeferred, false, false},
      {Stage::final_dot, 451, "4.7.1", kDeferred, false, true},
      {Stage::final_dot, 552, "", kFailed, false, true},
      {Stage::final_dot, 554, "5.7.1", kFailed, false, true},
      {Stage::final_dot, 452, "4.2.2", kDeferred, false, true},
      {Stage::final_dot, 354, "", kDeferred, false, false},
      {Stage::body, 552, "", kFailed, false, false},
      {Stage::mail, 354, "", kDeferred, false, false},
      // About the dialogue or our credentials, not about the message.
      {Stage::mail, 530, "5.7.0", kDeferred, false, true},
      {Stage::rcpt, 503, "5.5.1", kDeferred, false, true},
      // 421 ends the session wherever it comes.
      {Stage::mail, 421, "4.3.2", kDeferred, false, false},
      {Stage::rcpt, 421, "", kDeferred, false, false},
      {Stage::data, 421, "", kDeferred, false, false},
      {Stage::final_dot, 421, "", kDeferred, false, false},
  };
  for (const Row& row : rows) {
    const std::string what =
        std::string(to_text(row.stage)) + " " + std::to_string(row.code) + " " + row.enhanced;
    const Verdict verdict = classify(replied(row.stage, row.code, row.enhanced));
    EXPECT_EQ(verdict.outcome, row.outcome) << what;
    EXPECT_EQ(verdict.another_transaction, row.another_transaction) << what;
    EXPECT_EQ(verdict.connection_reusable, row.reusable) << what;
    EXPECT_EQ(verdict.reply.code, row.code) << what;
    EXPECT_TRUE(verdict.counts_as_try) << what;
    EXPECT_FALSE(verdict.try_next_host) << what;
    EXPECT_FALSE(verdict.in_doubt) << what;
    EXPECT_EQ(verdict.delay_destination, row.code == 421) << what;
  }
}

TEST(FailurePolicy, ClassifiesRepliesToTheOpeningAsTroubleOfTheHost) {
  struct Row {
    Stage stage;
    std::uint16_t code;
    Outcome outcome;
    bool counts;
  };

  const std::vector<Row> rows = {
      {Stage::greeting, 421, kDeferred, true}, {Stage::greeting, 450, kDeferred, true},
      {Stage::greeting, 554, kDeferred, true}, {Stage::greeting, 550, kDeferred, true},
      {Stage::greeting, 521, kFailed, true},   {Stage::greeting, 556, kFailed, true},
      {Stage::ehlo, 450, kDeferred, true},     {Stage::ehlo, 521, kDeferred, true},
      {Stage::ehlo, 550, kDeferred, true},     {Stage::starttls, 454, kDeferred, true},
      {Stage::starttls, 554, kDeferred, true}, {Stage::auth, 454, kDeferred, true},
      {Stage::auth, 535, kDeferred, false},    {Stage::auth, 334, kDeferred, true},
  };
  for (const Row& row : rows) {
    const std::string what = std::string(to_text(row.stage)) + " " + std::to_string(row.code);
    for (const bool more_hosts : {false, true}) {
      Event event = replied(row.stage, row.code);
      event.more_hosts = more_hosts;
      const Verdict verdict = classify(event);
      EXPECT_EQ(verdict.outcome, row.outcome) << what;
      EXPECT_EQ(verdict.counts_as_try, row.counts) << what;
      EXPECT_EQ(verdict.try_next_host, more_hosts) << what;
      EXPECT_TRUE(verdict.delay_destination) << what;
      EXPECT_FALSE(verdict.connection_reusable) << what;
    }
  }
}

TEST(FailurePolicy, NeverFailsForACauseThatIsNotAReply) {
  const std::vector<Stage> stages = {Stage::none, Stage::route,    Stage::connect, Stage::greeting,
                                     Stage::ehlo, Stage::starttls, Stage::auth,    Stage::mail,
                                     Stage::rcpt, Stage::data,     Stage::body,    Stage::final_dot,
                                     Stage::quit, Stage::local};
  for (const Stage stage : stages) {
    for (const Cause cause : {Cause::network, Cause::timeout, Cause::protocol, Cause::dns,
                              Cause::tls, Cause::policy, Cause::local, Cause::missing}) {
      const Verdict verdict = classify(caused(stage, cause));
      const std::string what = std::string(to_text(stage)) + " " + to_text(cause);
      EXPECT_EQ(verdict.outcome, kDeferred) << what;
      EXPECT_FALSE(verdict.connection_reusable) << what;
      EXPECT_TRUE(verdict.reply.temporary()) << what;
      EXPECT_EQ(verdict.reply.enhanced.klass, 4) << what;
      const bool local = cause == Cause::dns || cause == Cause::local || cause == Cause::missing;
      EXPECT_EQ(verdict.counts_as_try, !local) << what;
    }
  }
}

TEST(FailurePolicy, IsInDoubtAfterTheFinalDotWithoutAReply) {
  for (const Cause cause : {Cause::network, Cause::timeout, Cause::protocol, Cause::local}) {
    Event event = caused(Stage::final_dot, cause);
    event.dot_written = true;
    const Verdict verdict = classify(event);
    EXPECT_TRUE(verdict.in_doubt) << to_text(cause);
    EXPECT_EQ(verdict.counts_as_try, cause != Cause::local)
        << to_text(cause) << ": a stop of ours is nobody's try";
    EXPECT_EQ(verdict.outcome, kDeferred) << to_text(cause);
  }
}

TEST(FailurePolicy, DelaysTheDestinationOnlyForWhatOtherMessagesWouldMeetToo) {
  EXPECT_TRUE(classify(caused(Stage::connect, Cause::network)).delay_destination);
  EXPECT_TRUE(classify(caused(Stage::route, Cause::dns)).delay_destination);
  EXPECT_TRUE(classify(caused(Stage::starttls, Cause::tls)).delay_destination);
  EXPECT_TRUE(classify(caused(Stage::mail, Cause::timeout)).delay_destination);
  EXPECT_FALSE(classify(caused(Stage::data, Cause::network)).delay_destination);
  EXPECT_FALSE(classify(caused(Stage::final_dot, Cause::timeout)).delay_destination);
  EXPECT_FALSE(classify(caused(Stage::body, Cause::local)).delay_destination);
  Event later = replied(Stage::mail, 421);
  later.first_message = false;
  EXPECT_FALSE(classify(later).delay_destination);
}

TEST(FailurePolicy, GivesOwnCodesToWhatNoPeerSaid) {
  EXPECT_EQ(classify(caused(Stage::connect, Cause::network)).reply.enhanced,
            (EnhancedCode{4, 4, 1}));
  EXPECT_EQ(classify(caused(Stage::data, Cause::timeout)).reply.enhanced, (EnhancedCode{4, 4, 2}));
  EXPECT_EQ(classify(caused(Stage::connect, Cause::dns)).reply.enhanced, (EnhancedCode{4, 4, 3}));
  EXPECT_EQ(classify(caused(Stage::mail, Cause::protocol)).reply.enhanced, (EnhancedCode{4, 5, 0}));
}

TEST(FailurePolicy, FailsForAnExtensionThatThePeerLacks) {
  Event event = caused(Stage::mail, Cause::extension);
  event.reply.code = 552;
  event.reply.enhanced = {5, 3, 4};
  const Verdict verdict = classify(event);
  EXPECT_EQ(verdict.outcome, kFailed);
  EXPECT_TRUE(verdict.connection_reusable);
  EXPECT_EQ(verdict.reply.enhanced, (EnhancedCode{5, 3, 4}));
}

TEST(FailurePolicy, LetsAnyTemporaryHostWin) {
  const Verdict temporary = classify(caused(Stage::connect, Cause::timeout));
  const Verdict permanent = classify(replied(Stage::greeting, 521));
  EXPECT_TRUE(outweighs(temporary, permanent));
  EXPECT_FALSE(outweighs(permanent, temporary));
  EXPECT_TRUE(outweighs(permanent, permanent));
  EXPECT_TRUE(outweighs(temporary, temporary));
}

}  // namespace
}  // namespace mansio::delivery
