#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio {
namespace {

using testing::ElementsAre;

TEST(Text, CaseIsAsciiOnly) {
  EXPECT_EQ(to_lower("EXAMPLE.Com\xC4"), "example.com\xC4");
  EXPECT_TRUE(equals_ignoring_case("StartTLS", "STARTTLS"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
}

TEST(Text, SplitsAndTrims) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim("  "), "");
}

TEST(Text, DecimalsAreDigitsOnlyAndFit) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(parse_decimal("18446744073709551616"), std::nullopt);
  EXPECT_EQ(parse_decimal("99999999999999999999999"), std::nullopt);
  EXPECT_EQ(parse_decimal(""), std::nullopt);
  EXPECT_EQ(parse_decimal("+1"), std::nullopt);
  EXPECT_EQ(parse_decimal("1 "), std::nullopt);
}

TEST(Text, EscapesWhatCouldForgeALogLine) {
  EXPECT_EQ(escape("a\r\nb\"\\"), "a\\x0d\\x0ab\\\"\\\\");
  EXPECT_EQ(escape("\x7f\x1b[0m"), "\\x7f\\x1b[0m");
}

TEST(Text, JsonIsAlwaysWellFormed) {
  EXPECT_EQ(json_escape("a\n\x01\"\\"), "a\\n\\u0001\\\"\\\\");
  EXPECT_EQ(json_escape("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(json_escape("\xFF\xC3"), "\\ufffd\\ufffd");
  EXPECT_EQ(json_escape("\xED\xA0\x80"), "\\ufffd\\ufffd\\ufffd");  // a surrogate
  EXPECT_EQ(json_escape("\xC0\x80"), "\\ufffd\\ufffd");             // overlong
  EXPECT_EQ(json_escape("\xF0\x9F\x93\xAE"), "\xF0\x9F\x93\xAE");
}

}  // namespace
}  // namespace mansio
