#include "base/keyed_hash.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace mansio {
namespace {

std::string hex(const KeyedHash& hash) {
  std::string out;
  for (const std::uint8_t octet : hash) out += fmt::format("{:02x}", octet);
  return out;
}

TEST(KeyedHash, GivesTheKnownAnswers) {
  // RFC 4231 §4.2, §4.3
  EXPECT_EQ(hex(keyed_hash(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(keyed_hash("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(KeyedHash, ComparesWholeTexts) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

}  // namespace
}  // namespace mansio
