#include "delivery/return_paths.h"

#include <gtest/gtest.h>

namespace mansio::delivery {
namespace {

ReturnPaths both() {
  ReturnPaths paths;
  paths.reverse_path = [](const QueueId&, std::uint32_t recipient) {
    return Address{"b" + std::to_string(recipient), "back.example"};
  };
  paths.envelope_id = [](const QueueId&, std::optional<std::uint32_t> recipient) {
    return recipient ? "id" + std::to_string(*recipient) : std::string("all");
  };
  return paths;
}

Message message() {
  Message message;
  message.envelope.reverse_path = {"ann", "shop.example"};
  for (const char* local : {"a", "b", "c"}) {
    Recipient recipient;
    recipient.address = {local, "dest.example"};
    recipient.notify.never = true;
    message.envelope.recipients.push_back(recipient);
  }
  message.envelope.dsn_return = DsnReturn::headers;
  return message;
}

TEST(ReturnPaths, GiveEachRecipientAReversePathOfItsOwn) {
  const ReturnPaths paths = both();
  EXPECT_TRUE(one_transaction_each(paths, message()));
  const auto own = marked_envelope(paths, message(), {2}, true);
  ASSERT_TRUE(own);
  EXPECT_EQ(own->reverse_path.to_string(), "b2@back.example");
  EXPECT_EQ(own->envelope_id, "id2");
  ASSERT_EQ(own->recipients.size(), 1u);
  EXPECT_EQ(own->recipients[0], message().envelope.recipients[2]);
  EXPECT_EQ(own->dsn_return, DsnReturn::headers);
}

TEST(ReturnPaths, KeepTheNullReversePath_N1) {
  Message notice = message();
  notice.envelope.reverse_path = {};
  EXPECT_FALSE(one_transaction_each(both(), notice));
  EXPECT_FALSE(marked_envelope(both(), notice, {0, 1}, true));
}

TEST(ReturnPaths, KeepAnEnvidOfTheSender) {
  Message sent = message();
  sent.envelope.envelope_id = "theirs";
  EXPECT_EQ(marked_envelope(both(), sent, {0}, true)->envelope_id, "theirs");
  ReturnPaths paths = both();
  paths.reverse_path = {};
  EXPECT_FALSE(marked_envelope(paths, sent, {0, 1}, true));
}

TEST(ReturnPaths, GiveAnEnvidOnlyWhereItIsTaken) {
  ReturnPaths paths = both();
  paths.reverse_path = {};
  EXPECT_FALSE(one_transaction_each(paths, message()));
  EXPECT_FALSE(marked_envelope(paths, message(), {0, 1}, false));
  const auto own = marked_envelope(paths, message(), {0, 1}, true);
  ASSERT_TRUE(own);
  EXPECT_EQ(own->envelope_id, "all");
  EXPECT_EQ(own->reverse_path.to_string(), "ann@shop.example");
  EXPECT_EQ(own->recipients.size(), 2u);
}

TEST(ReturnPaths, ChangeNothingWhenOff) {
  EXPECT_FALSE(one_transaction_each({}, message()));
  EXPECT_FALSE(marked_envelope({}, message(), {0, 1}, true));
}

}  // namespace
}  // namespace mansio::delivery
