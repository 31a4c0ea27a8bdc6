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

TEST(Utf8Address, IsEscapedOrAsItIs) {
  EXPECT_EQ(utf8_address("j\xC3\xB6rg+x=\\@a", false), "j\\x{F6}rg\\x{2B}x\\x{3D}\\x{5C}@a");
  EXPECT_EQ(utf8_address("j\xC3\xB6rg+x@a", true), "j\xC3\xB6rg\\x{2B}x@a");
  EXPECT_EQ(utf8_address("\xE2\x80\xAE@a", true), "\\x{202E}@a");
  EXPECT_EQ(utf8_address("\xFF@a", true), "\\x{FF}@a");
}

TEST(Utf8Address, IsReadBack) {
  for (const std::string address : {"j\xC3\xB6rg+x=\\@a", "\xF0\x9F\x93\xA7@b", "plain@c"}) {
    EXPECT_EQ(from_utf8_address(utf8_address(address, false)), address);
    EXPECT_EQ(from_utf8_address(utf8_address(address, true)), address);
  }
  for (const std::string nothing : {"\\x{}", "\\x{D800}", "\\x{110000}", "\\x{12", "\\x{GG}"}) {
    EXPECT_EQ(from_utf8_address(nothing), nothing);
  }
}

TEST(Wrapped, IndentsEveryLine) {
  EXPECT_EQ(wrapped("a b", 4), "    a b\r\n");
  const std::string word(40, 'w');
  EXPECT_EQ(wrapped(word + ' ' + word, 2), "  " + word + "\r\n  " + word + "\r\n");
}

}  // namespace
}  // namespace mansio::dsn
