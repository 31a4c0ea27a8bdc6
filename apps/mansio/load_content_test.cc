#include "mansio/load_content.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>

namespace mansio::load {
namespace {

MessageMaker maker(const std::string& domains, std::uint32_t recipients = 1) {
  MessageMaker::Options options;
  options.recipients = recipients;
  options.from = "sender@load.example";
  options.domains = parse_domains(domains);
  return MessageMaker(options);
}

std::string domain_of(const std::string& address) { return address.substr(address.find('@') + 1); }

TEST(LoadDomains, HaveWeightsAndRanges) {
  const auto domains = parse_domains("a.example=3, d{7..9}.b.example=0.5, c.example");
  ASSERT_EQ(domains.size(), 3u);
  EXPECT_EQ(domains[0].at(5), "a.example");
  EXPECT_EQ(domains[0].weight, 3);
  EXPECT_EQ(domains[1].at(0), "d7.b.example");
  EXPECT_EQ(domains[1].at(5), "d9.b.example");
  EXPECT_EQ(domains[1].weight, 0.5);
  EXPECT_EQ(domains[2].at(0), "c.example");
}

TEST(LoadDomains, RefuseWhatIsNoRange) {
  for (const char* text : {"d{1..}.example", "d{..2}.example", "d{2..1}.example", "d{1-2}.example",
                           "d{1..2.example", "d{}.example"}) {
    EXPECT_THROW(parse_domains(text), std::invalid_argument) << text;
  }
}

TEST(LoadMessages, GoToTheMembersOfARangeInTurn) {
  const MessageMaker messages = maker("d{1..1000}.example");
  std::set<std::string> seen;
  for (std::uint64_t number = 0; number < 1000; ++number) {
    seen.insert(domain_of(messages.recipients(number).front()));
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(LoadMessages, SpreadTheirRecipientsOverARange) {
  const MessageMaker messages = maker("d{1..50}.example", 50);
  std::set<std::string> seen;
  for (const std::string& address : messages.recipients(7)) seen.insert(domain_of(address));
  EXPECT_EQ(seen.size(), 50u);
}

}  // namespace
}  // namespace mansio::load
