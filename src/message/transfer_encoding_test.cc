#include "message/transfer_encoding.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(QuotedPrintable, EncodesWhatRfc2045Says) {
  EXPECT_EQ(quoted_printable("a=b\xC3\xA4\r\n"), "a=3Db=C3=A4\r\n");
  EXPECT_EQ(quoted_printable("blank at end \r\nx\t\r\n"), "blank at end=20\r\nx=09\r\n");
  EXPECT_EQ(quoted_printable("bare\rand\n"), "bare=0Dand=0A");
  EXPECT_EQ(quoted_printable(std::string(80, 'x')),
            std::string(75, 'x') + "=\r\n" + std::string(5, 'x'));
}

TEST(SoftLineBreaks, KeepWhatIsDecoded) {
  const std::string x(74, 'x');
  EXPECT_EQ(softly_broken("a=3D b\r\nc =\r\nd"), "a=3D b\r\nc =\r\nd");
  EXPECT_EQ(softly_broken(x + "=C3=A4"), x + "=\r\n=C3=A4");
  EXPECT_EQ(softly_broken(x + " b"), x + " =\r\nb");
  // White space at the end of a line is not part of the text; in the middle of it, it is.
  EXPECT_EQ(softly_broken("a  \r\n" + x + "   \t\r\nb"), "a\r\n" + x + "\r\nb");
  EXPECT_EQ(softly_broken("a=b"), std::nullopt);
  EXPECT_EQ(softly_broken("a=4"), std::nullopt);
}

TEST(Base64, IsWrittenInLines) {
  EXPECT_EQ(base64_lines(""), "");
  EXPECT_EQ(base64_lines("a"), "YQ==\r\n");
  EXPECT_EQ(base64_lines("abcd"), "YWJjZA==\r\n");
  EXPECT_EQ(base64_lines(std::string(58, '\0')), std::string(76, 'A') + "\r\nAA==\r\n");
  EXPECT_EQ(base64_rewrapped("YW\r\nJj \tZA=\n="), "YWJjZA==\r\n");
  EXPECT_EQ(base64_rewrapped(std::string(80, 'A')), std::string(76, 'A') + "\r\nAAAA\r\n");
  EXPECT_EQ(base64_rewrapped("YQ==YQ=="), std::nullopt);
  EXPECT_EQ(base64_rewrapped("Y-=="), std::nullopt);
}

TEST(TransferDecoding, UndoesWhatTheEncodersDo) {
  std::string octets;
  for (int i = 0; i < 1000; ++i) octets += static_cast<char>(i * 7 % 256);
  for (std::size_t length = 0; length < octets.size(); length += 7) {
    const std::string text = octets.substr(0, length);
    EXPECT_EQ(from_base64(base64_lines(text)), text);
    EXPECT_EQ(from_quoted_printable(quoted_printable(text)), text);
  }
}

TEST(TransferDecoding, TakesWhatOthersGetWrong) {
  EXPECT_EQ(from_quoted_printable("a=3Db =\r\nc=ZZ=4 \nd= \r\ne="), "a=b c=ZZ=4\r\nde");
  EXPECT_EQ(from_base64("TWF\x01u*\r\nTQ==TWE=!"), "ManMMa");
  EXPECT_EQ(from_base64("T"), "");
  EXPECT_EQ(from_base64("===="), "");
}

}  // namespace
}  // namespace mansio
