#include "mansio/sink_rules.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace mansio::sink {
namespace {

TEST(RulePattern, KnowsStarsAndQuestionMarks) {
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("*@slow.example", "a@Slow.Example"));
  EXPECT_TRUE(matches_pattern("a?c", "abc"));
  EXPECT_TRUE(matches_pattern("*a*b*", "xxaxxbxx"));
  EXPECT_TRUE(matches_pattern("a*", "a"));
  EXPECT_FALSE(matches_pattern("a?c", "ac"));
  EXPECT_FALSE(matches_pattern("*@slow.example", "a@slow.example.org"));
  EXPECT_FALSE(matches_pattern("", "a"));
}

TEST(Rule, ReadsEveryKey) {
  const Rule rule = parse_rule(
      "phase=rcpt code=451 share=0.5 recipient=*@a sender=b@* times=3 delay=2s text=4.2.1 code=9 "
      "x");
  EXPECT_EQ(rule.phase, Phase::recipient);
  EXPECT_EQ(rule.code, 451);
  EXPECT_DOUBLE_EQ(rule.share, 0.5);
  EXPECT_EQ(rule.recipient, "*@a");
  EXPECT_EQ(rule.sender, "b@*");
  EXPECT_EQ(rule.times, 3U);
  EXPECT_EQ(rule.delay, std::chrono::seconds(2));
  EXPECT_EQ(rule.text, "4.2.1 code=9 x");
}

TEST(Rule, RefusesWhatMakesNoSense) {
  for (const char* text : {"", "code=450", "phase=rcpt", "phase=x code=450", "phase=rcpt code=250",
                           "phase=rcpt code=99", "phase=rcpt code=450 share=1.5",
                           "phase=rcpt code=450 share=", "phase=rcpt code=450 times=0",
                           "phase=mail code=450 recipient=a", "phase=ehlo code=450 sender=a",
                           "phase=rcpt code=450 x=1", "phase=rcpt code=450 delay=soon",
                           "phase=close-after-dot code=450", "phase=rcpt code=450 word"}) {
    EXPECT_THROW(parse_rule(text), std::invalid_argument) << text;
  }
}

TEST(Rules, TheFirstThatMatchesDecides) {
  Rules rules({parse_rule("phase=rcpt recipient=a@* code=451"), parse_rule("phase=rcpt code=550")},
              1);
  EXPECT_EQ(rules.decide(Phase::recipient, "", {"a@x"})->code, 451);
  EXPECT_EQ(rules.decide(Phase::recipient, "", {"b@x"})->code, 550);
  EXPECT_FALSE(rules.decide(Phase::mail, "", {}));
}

TEST(Rules, CountTriesByRecipient) {
  Rules rules({parse_rule("phase=rcpt code=451 times=2")}, 1);
  for (const char* address : {"a@x", "b@x"}) {
    EXPECT_TRUE(rules.decide(Phase::recipient, "", {address}));
    EXPECT_TRUE(rules.decide(Phase::recipient, "", {address}));
    EXPECT_FALSE(rules.decide(Phase::recipient, "", {address}));
  }
}

TEST(Rules, AShareIsAboutThatShareAndRepeatable) {
  const auto hits = [](std::uint64_t seed) {
    Rules rules({parse_rule("phase=dot code=451 share=0.25")}, seed);
    int count = 0;
    for (int i = 0; i < 10000; ++i) count += rules.decide(Phase::dot, "", {"a@x"}).has_value();
    return count;
  };
  EXPECT_NEAR(hits(1), 2500, 200);
  EXPECT_EQ(hits(1), hits(1));
}

TEST(Rules, ALaterRecipientOfTheMessageMatchesToo) {
  Rules rules({parse_rule("phase=dot recipient=b@* code=554")}, 1);
  EXPECT_TRUE(rules.decide(Phase::dot, "", {"a@x", "b@x"}));
  EXPECT_FALSE(rules.decide(Phase::dot, "", {"a@x", "c@x"}));
}

}  // namespace
}  // namespace mansio::sink
