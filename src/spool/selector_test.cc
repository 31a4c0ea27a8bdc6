#include "spool/selector.h"

#include <gtest/gtest.h>

#include "spool/spool.h"

namespace mansio::spool {
namespace {

using namespace std::chrono_literals;
using Indexes = std::vector<std::uint32_t>;

StoredMessage sample() {
  StoredMessage stored;
  Message& message = stored.message;
  message.id.octets[15] = 7;
  message.envelope.reverse_path = {"Sender", "Example.org"};
  for (const char* domain : {"one.example", "Two.Example", "one.example", "other.test"}) {
    Recipient recipient;
    recipient.address = {"user" + std::to_string(message.lanes.size()), domain};
    message.envelope.recipients.push_back(recipient);
    message.lanes.push_back({domain, "default"});
  }
  message.lanes[2].binding = "bulk-a";
  message.content.facts.size = 1000;
  message.content.facts.subject = "Your Invoice 42";
  message.accepted_at = Time(1'772'000'000s);
  message.tenant = "acme";
  stored.recipients.resize(4);
  stored.recipients[1].state = RecipientState::held;
  stored.recipients[2].tries = 3;
  stored.recipients[2].retry_count = 5;
  stored.recipients[3].state = RecipientState::delivered;
  return stored;
}

Indexes matching_with(void (*set)(Selector&)) {
  Selector selector;
  set(selector);
  return matching(selector, sample());
}

TEST(Selector, AnEmptyOneSelectsNothing) {
  EXPECT_TRUE(Selector{}.selects_nothing());
  EXPECT_EQ(matching(Selector{}, sample()), Indexes{});
}

TEST(Selector, EverythingSelectsWhatIsNotFinal) {
  EXPECT_EQ(matching_with([](Selector& s) { s.everything = true; }), (Indexes{0, 1, 2}));
}

TEST(Selector, PatternsAreExactOrAnEndAfterAStar) {
  EXPECT_EQ(matching_with([](Selector& s) { s.destination = "ONE.example"; }), (Indexes{0, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.destination = "*.example"; }), (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.destination = "ne.example"; }), Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.destination = "*"; }), (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.destination = "*a.longer.name.one.example"; }),
            Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.recipient = "user1@two.example"; }), (Indexes{1}));
  EXPECT_EQ(matching_with([](Selector& s) { s.recipient = "*@one.example"; }), (Indexes{0, 2}));
}

TEST(Selector, BindingsAndTenantsCompareWithCase) {
  EXPECT_EQ(matching_with([](Selector& s) { s.binding = "bulk-a"; }), (Indexes{2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.binding = "Bulk-a"; }), Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.tenant = "acme"; }), (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.tenant = "ACME"; }), Indexes{});
}

TEST(Selector, SendersIncludeTheNullPath) {
  EXPECT_EQ(matching_with([](Selector& s) { s.sender = "sender@example.ORG"; }),
            (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.sender = "<>"; }), Indexes{});
  StoredMessage notice = sample();
  notice.message.envelope.reverse_path = {};
  Selector null_path;
  null_path.sender = "<>";
  EXPECT_EQ(matching(null_path, notice), (Indexes{0, 1, 2}));
}

TEST(Selector, CountsSizesTimesAndSubjectsAreBounds) {
  EXPECT_EQ(matching_with([](Selector& s) { s.tries_min = 3; }), (Indexes{2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.retries_min = 6; }), Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.size_min = 1000; }), (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.size_min = 1001; }), Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.accepted_before = Time(1'772'000'000s); }),
            Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.accepted_before = Time(1'772'000'001s); }),
            (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.subject = "invoice"; }), (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.subject = "receipt"; }), Indexes{});
}

TEST(Selector, ATimeToBeginWithIncludesItselfAndSaysWhereAListingBegins) {
  EXPECT_EQ(matching_with([](Selector& s) { s.accepted_since = Time(1'772'000'000s); }),
            (Indexes{0, 1, 2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.accepted_since = Time(1'772'000'000s + 1us); }),
            Indexes{});
  Selector since;
  EXPECT_TRUE(scan_start(since).is_nil());
  since.accepted_since = Time(1'772'000'000s);
  EXPECT_EQ(scan_start(since).time(), Time(1'772'000'000s) - arrival_max);
  since.accepted_since = Time{};
  EXPECT_TRUE(scan_start(since).is_nil());
  since.accepted_since = Time(Duration::max());
  EXPECT_GT(scan_start(since), sample().message.id);
  EXPECT_FALSE(scan_end(since));
  since.accepted_since = Time(1'772'000'000s);
  since.accepted_before = Time(1'772'000'100s);
  EXPECT_EQ(scan_end(since)->time(), Time(1'772'000'100s) + arrival_max);
}

TEST(Selector, AllConditionsMustHoldForOneRecipient) {
  EXPECT_EQ(matching_with([](Selector& s) {
              s.destination = "*.example";
              s.state = RecipientState::held;
            }),
            (Indexes{1}));
  EXPECT_EQ(matching_with([](Selector& s) {
              s.destination = "one.example";
              s.state = RecipientState::held;
            }),
            Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) { s.state = RecipientState::delivered; }), Indexes{});
  EXPECT_EQ(matching_with([](Selector& s) {
              s.ids = {sample().message.id, QueueId{}};
              s.tries_min = 1;
            }),
            (Indexes{2}));
  EXPECT_EQ(matching_with([](Selector& s) { s.ids = {QueueId{}}; }), Indexes{});
}

}  // namespace
}  // namespace mansio::spool
