#include "dsn/mime.h"

#include <gtest/gtest.h>

namespace mansio::dsn {
namespace {

TEST(HeaderField, FoldsBeforeBlanksAndKeepsThem) {
  EXPECT_EQ(header_field("Name", "value"), "Name: value\r\n");
  EXPECT_EQ(header_field("Name", "two  blanks"), "Name: two  blanks\r\n");
  const std::string word(40, 'w');
  EXPECT_EQ(header_field("Name", word + "  " + word), "Name: " + word + "\r\n  " + word + "\r\n");
  EXPECT_EQ(header_field("Name", "trailing   "), "Name: trailing\r\n");
}

TEST(HeaderField, BreaksAWordThatNoLineCanHold) {
  const std::string folded = header_field("Name", std::string(2000, 'w'));
  EXPECT_EQ(folded, "Name: " + std::string(900, 'w') + "\r\n " + std::string(900, 'w') + "\r\n " +
                        std::string(200, 'w') + "\r\n");
}

TEST(PrintableAscii, EscapesAndCuts) {
  EXPECT_EQ(to_printable_ascii("a\r\nb\t\xC3\xA4\x01", 100), "a b \\xC3\\xA4\\x01");
  EXPECT_EQ(to_printable_ascii("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(to_printable_ascii("abcdefghi", 8), "abcde...");
}

TEST(SevenBit, KnowsWhatTravels) {
  EXPECT_TRUE(is_seven_bit("a\tb\r\n"));
  EXPECT_TRUE(is_seven_bit(std::string(998, 'x') + "\r\n"));
  EXPECT_FALSE(is_seven_bit(std::string(999, 'x') + "\r\n"));
  EXPECT_FALSE(is_seven_bit("\xC3\xA4"));
  EXPECT_FALSE(is_seven_bit("a\nb"));
  EXPECT_FALSE(is_seven_bit("a\rb"));
  EXPECT_FALSE(is_seven_bit(std::string("\0", 1)));
}

TEST(Wrapped, IndentsEveryLine) {
  EXPECT_EQ(wrapped("a b", 4), "    a b\r\n");
  const std::string word(40, 'w');
  EXPECT_EQ(wrapped(word + ' ' + word, 2), "  " + word + "\r\n  " + word + "\r\n");
}

}  // namespace
}  // namespace mansio::dsn
