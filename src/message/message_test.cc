#include "message/message.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mansio {
namespace {

TEST(Message, FinalStatesAreThoseThatAreNeverLeft) {
  using enum RecipientState;
  for (const RecipientState state : {queued, held, in_doubt, quarantined}) {
    EXPECT_FALSE(is_final(state)) << to_text(state);
  }
  for (const RecipientState state : {delivered, failed, expired, removed, moved}) {
    EXPECT_TRUE(is_final(state)) << to_text(state);
  }
}

TEST(Message, EveryEnumeratorHasATextOfItsOwn) {
  std::set<std::string> texts;
  for (std::uint8_t i = 0; i <= 8; ++i) texts.insert(to_text(static_cast<RecipientState>(i)));
  EXPECT_EQ(texts.size(), 9u);
  texts.clear();
  for (std::uint8_t i = 0; i <= 3; ++i) texts.insert(to_text(static_cast<PriorityClass>(i)));
  for (std::uint8_t i = 0; i <= 3; ++i) texts.insert(to_text(static_cast<Outcome>(i)));
  EXPECT_EQ(texts.size(), 8u);
  texts.clear();
  for (std::uint8_t i = 0; i <= 13; ++i) texts.insert(to_text(static_cast<Stage>(i)));
  EXPECT_EQ(texts.size(), 14u);
  texts.clear();
  for (std::uint8_t i = 0; i <= 12; ++i) texts.insert(to_text(static_cast<Cause>(i)));
  EXPECT_EQ(texts.size(), 13u);
  EXPECT_FALSE(texts.contains("unknown"));
}

TEST(Message, TheFlowFollowsTenantAndCampaignOnly) {
  Message message;
  const std::uint32_t flow = flow_of(message);
  message.klass = PriorityClass::high;
  message.envelope.envelope_id = "x";
  EXPECT_EQ(flow_of(message), flow);
  message.campaign = "spring";
  EXPECT_NE(flow_of(message), flow);
  Message a, b;
  a.tenant = "ab";
  a.campaign = "c";
  b.tenant = "a";
  b.campaign = "bc";
  EXPECT_NE(flow_of(a), flow_of(b));
}

}  // namespace
}  // namespace mansio
