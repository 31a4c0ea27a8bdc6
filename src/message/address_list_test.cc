#include "message/address_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> addresses(std::string_view text) {
  const AddressList list = parse_address_list(text);
  EXPECT_EQ(list.not_understood, "") << text;
  return list.addresses;
}

std::string not_understood(std::string_view text) {
  return parse_address_list(text).not_understood;
}

TEST(AddressList, ReadsNamesCommentsAndFolds) {
  EXPECT_THAT(addresses("alice@example.org"), ElementsAre("alice@example.org"));
  EXPECT_THAT(addresses(" Alice <alice@example.org>,\r\n\tbob@example.com (Bob, the \\) builder)"),
              ElementsAre("alice@example.org", "bob@example.com"));
  EXPECT_THAT(addresses("=?utf-8?q?J=C3=B6rg_=2C_M?= <joerg@example.org>"),
              ElementsAre("joerg@example.org"));
  EXPECT_THAT(addresses("\"Last, First\" <a@b>, \"odd , local\"@c.example"),
              ElementsAre("a@b", "\"odd , local\"@c.example"));
  EXPECT_THAT(addresses("(first) a (mid (nested)) @ (x) b . example (last)"),
              ElementsAre("a@b.example"));
  EXPECT_THAT(addresses("x@[192.0.2.1], <y@[IPv6:2001:db8::1]>"),
              ElementsAre("x@[192.0.2.1]", "y@[IPv6:2001:db8::1]"));
}

TEST(AddressList, OpensGroups) {
  EXPECT_THAT(addresses("undisclosed-recipients:;"), IsEmpty());
  EXPECT_THAT(addresses("Friends: a@b, C <c@d>;, e@f"), ElementsAre("a@b", "c@d", "e@f"));
  EXPECT_THAT(addresses("\"The team\": ;"), IsEmpty());
}

TEST(AddressList, KeepsNamesWithoutADomainAndOctetsBeyondAscii) {
  EXPECT_THAT(addresses("root, Operator <operator>"), ElementsAre("root", "operator"));
  EXPECT_THAT(addresses("J\u00F6rg <j\u00F6rg@b\u00FCcher.example>"),
              ElementsAre("j\u00F6rg@b\u00FCcher.example"));
}

TEST(AddressList, DropsSourceRoutesAndEmptyEntries) {
  EXPECT_THAT(addresses("<@relay,@other:a@b>"), ElementsAre("a@b"));
  EXPECT_THAT(addresses(", ,a@b,,"), ElementsAre("a@b"));
  EXPECT_THAT(addresses(""), IsEmpty());
}

TEST(AddressList, NamesWhatIsNoAddress) {
  EXPECT_EQ(not_understood("a@b, John Doe, c@d"), "John Doe");
  EXPECT_EQ(not_understood("Nobody <>"), "Nobody <>");
  EXPECT_EQ(not_understood("<a@b"), "<a@b");
  EXPECT_EQ(not_understood("<a@b> tail"), "<a@b> tail");
  EXPECT_EQ(not_understood("a@b>"), "a@b>");
  EXPECT_THAT(parse_address_list("a@b, John Doe, c@d").addresses, ElementsAre("a@b", "c@d"));
}

TEST(AddressList, EndsOnAnyInput) {
  for (const char* text : {"\"", "(", "(\\", "\"\\", "[", "<", "<[", ":", ";", "<:", "\\"}) {
    static_cast<void>(parse_address_list(text));
  }
}

}  // namespace
}  // namespace mansio
