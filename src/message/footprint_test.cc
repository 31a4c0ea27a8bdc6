#include "message/footprint.h"

#include <gtest/gtest.h>

#include <memory>

namespace mansio {
namespace {

Message message_with(std::size_t recipients) {
  Message message;
  for (std::size_t i = 0; i < recipients; ++i) {
    Recipient recipient;
    recipient.address = {"somebody" + std::to_string(i), "destination.of.some.length.example"};
    message.envelope.recipients.push_back(recipient);
    message.lanes.push_back({"destination.of.some.length.example", "default"});
  }
  return message;
}

TEST(Footprint, AnOrdinaryMessageTakesOneOrTwoThousandOctets) {
  EXPECT_GT(footprint(message_with(1)), 500u);
  EXPECT_LT(footprint(message_with(1)), 2000u);
}

TEST(Footprint, GrowsWithTheRecipients) {
  EXPECT_GT(footprint(message_with(1000)), 1000 * (sizeof(Recipient) + sizeof(LaneKey)));
}

TEST(Footprint, CountsContentThatIsInMemory) {
  Message message = message_with(1);
  const std::size_t without = footprint(message);
  message.content.octets = std::make_shared<const std::string>(std::string(10'000, 'x'));
  EXPECT_GE(footprint(message), without + 10'000);
}

TEST(Footprint, CountsWhatALastReplySaid) {
  RecipientStatus status;
  const std::size_t without = footprint(status);
  status.last.reply.text = std::string(1000, 'x');
  EXPECT_GE(footprint(status), without + 1000);
}

}  // namespace
}  // namespace mansio
