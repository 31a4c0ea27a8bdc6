#include "dsn/return_token.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "message/xtext.h"

namespace mansio::dsn {
namespace {

constexpr std::uint32_t last_index = 4294967295u;

QueueId some_id() { return *QueueId::parse("01JNB3V8QF7Z9M2K4T6W8Y0ACE"); }

ReturnTokens tokens() { return {"0123456789abcdef", "back.example"}; }

std::string in_upper_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::vector<ReturnMark> marks() {
  return {{some_id(), 0}, {some_id(), 17}, {some_id(), last_index}, {some_id(), std::nullopt}};
}

TEST(ReturnToken, ComesBackAsItWentOut) {
  for (const ReturnMark& mark : marks()) {
    const std::string token = tokens().token(mark);
    EXPECT_EQ(tokens().verify(token), mark);
    const Address address = tokens().address(mark);
    EXPECT_EQ(address.domain, "back.example");
    EXPECT_EQ(tokens().verify_local(address.local), mark);
    EXPECT_EQ(tokens().verify_local(in_upper_case(address.local)), mark);
  }
}

TEST(ReturnToken, IsTheSameInEveryVersion) {
  // A notice may come back after an upgrade.
  const std::string token = tokens().token({some_id(), 17});
  EXPECT_EQ(token, "01jnb3v8qf7z9m2k4t6w8y0ace-17-ssmbqnrbnpjn3ymdhazr");
}

TEST(ReturnToken, FitsIntoALocalPartAndAnEnvid) {
  for (const ReturnMark& mark : marks()) {
    EXPECT_LE(tokens().address(mark).local.size(), 64u);
    EXPECT_TRUE(Address::parse(tokens().address(mark).to_string(), false));
    EXPECT_EQ(to_xtext(tokens().token(mark)), tokens().token(mark));
  }
}

TEST(ReturnToken, HoldsAgainstEveryChange) {
  const std::string token = tokens().token({some_id(), 1});
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string forged = token;
    forged[i] = forged[i] == '7' ? '8' : '7';
    EXPECT_EQ(tokens().verify(forged), std::nullopt) << forged;
    EXPECT_EQ(tokens().verify(token.substr(0, i)), std::nullopt);
    EXPECT_EQ(tokens().verify(token.substr(i + 1)), std::nullopt);
    EXPECT_EQ(tokens().verify(token.substr(0, i) + '-' + token.substr(i)), std::nullopt);
  }
  EXPECT_EQ(tokens().verify(token + "0"), std::nullopt);
  EXPECT_EQ(tokens().verify(""), std::nullopt);
  EXPECT_EQ(tokens().verify_local(token), std::nullopt);
  EXPECT_EQ(tokens().verify_local("c+" + token), std::nullopt);
  EXPECT_EQ(tokens().verify_local("b+"), std::nullopt);
}

TEST(ReturnToken, NeedsTheSecret) {
  const ReturnTokens others("fedcba9876543210", "back.example");
  EXPECT_EQ(others.verify(tokens().token({some_id(), 1})), std::nullopt);
  EXPECT_NE(others.token({some_id(), 1}), tokens().token({some_id(), 1}));
}

TEST(ReturnToken, HasOneTextForEachMark) {
  const std::string token = tokens().token({some_id(), 1});
  std::string with_zero = token;
  with_zero.insert(27, "0");
  EXPECT_EQ(tokens().verify(with_zero), std::nullopt);
}

}  // namespace
}  // namespace mansio::dsn
