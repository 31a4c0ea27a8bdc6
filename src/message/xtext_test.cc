#include "message/xtext.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(Xtext, EncodesWhatIsNotPrintableAndItsOwnMarks) {
  EXPECT_EQ(to_xtext("user@example.com"), "user@example.com");
  EXPECT_EQ(to_xtext("user+tag=1"), "user+2Btag+3D1");
  EXPECT_EQ(to_xtext("a b\n"), "a+20b+0A");
  EXPECT_EQ(to_xtext("\xFF"), "+FF");
  EXPECT_EQ(to_xtext(""), "");
}

TEST(Xtext, DecodesEveryOctet) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(from_xtext(to_xtext(all)), all);
}

TEST(Xtext, RefusesBadEscapesAndForbiddenOctets) {
  for (const char* text :
       {"+", "+2", "+2G", "+2b", "a+", "a b", "a=b", "\x7F", "\xC3\xA4", "a\tb"}) {
    EXPECT_FALSE(from_xtext(text)) << text;
  }
}

}  // namespace
}  // namespace mansio
