#include "message/original_recipient.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(OriginalRecipient, IsATypeAndAnAddressInXtext) {
  EXPECT_TRUE(valid_original_recipient("rfc822;user+2Btag@x.example", false));
  EXPECT_TRUE(valid_original_recipient("x-vendor;a+20b", false));
  for (const char* bad :
       {"", "user@x.example", ";user@x.example", "rfc822;", "rfc 822;a@b", "rfc822;a+2b@x",
        "rfc822;a+@x", "rfc822;a=b@x", "rfc822;a+0D+0Ab@x", "rfc822;\u00FC@x", "rfc822;+C3+28@x",
        "rfc822;+E2+80+AEa@x", "rfc822;a+7F@x"}) {
    EXPECT_FALSE(valid_original_recipient(bad, true)) << bad;
  }
  EXPECT_TRUE(valid_original_recipient("rfc822;" + std::string(493, 'a'), false));
  EXPECT_FALSE(valid_original_recipient("rfc822;" + std::string(494, 'a'), false));
}

TEST(OriginalRecipient, MayEncodeUtf8InXtextAsPostfixDoes) {
  EXPECT_TRUE(valid_original_recipient("rfc822;bj+C3+B6rn@b+C3+BCcher.example", true));
  EXPECT_FALSE(valid_original_recipient("rfc822;bj+C3+B6rn@b+C3+BCcher.example", false));
}

TEST(OriginalRecipient, MayBeUtf8InEitherForm_R54) {
  EXPECT_TRUE(valid_original_recipient("utf-8;b\\x{FC}cher@x.example", false));
  EXPECT_TRUE(valid_original_recipient("UTF-8;\\x{1F600}@x.example", false));
  EXPECT_TRUE(valid_original_recipient("utf-8;user+2Btag@x", false));
  EXPECT_TRUE(valid_original_recipient("utf-8;user\\x{2B}tag@x", false));
  EXPECT_TRUE(valid_original_recipient("utf-8;b\u00FCcher@x.example", true));
  EXPECT_FALSE(valid_original_recipient("utf-8;b\u00FCcher@x.example", false));
  for (const char* bad :
       {"utf-8;", "utf-8;a\\b", "utf-8;\\x{}", "utf-8;\\x{fc}", "utf-8;\\x{110000}",
        "utf-8;\\x{D800}", "utf-8;\\x{A}", "utf-8;\\x{202E}", "utf-8;\\x{FC", "utf-8;b\xC3",
        "utf-8;a\u202E", "utf-8;a+2", "utf-8;a=b"}) {
    EXPECT_FALSE(valid_original_recipient(bad, true)) << bad;
  }
}

TEST(OriginalRecipient, LosesNothingOnTheWayToAsciiPeers_R54) {
  EXPECT_EQ(ascii_original_recipient("utf-8;b\u00FCcher@\u4E16.example"),
            "utf-8;b\\x{FC}cher@\\x{4E16}.example");
  EXPECT_EQ(ascii_original_recipient("rfc822;user+2Btag@x"), "rfc822;user+2Btag@x");
  EXPECT_EQ(ascii_original_recipient(""), "");
}

TEST(OriginalRecipient, NamesAnyAddress) {
  EXPECT_EQ(original_recipient_of({"user+tag", "x.example"}), "rfc822;user+2Btag@x.example");
  const std::string encoded = original_recipient_of({"\"\u00E9 +=\\\"\"", "b\u00FC.example"});
  EXPECT_EQ(encoded, "utf-8;\"\\x{E9}\\x{20}\\x{2B}\\x{3D}\\x{5C}\"\"@b\\x{FC}.example");
  EXPECT_TRUE(valid_original_recipient(encoded, false));
}

}  // namespace
}  // namespace mansio
