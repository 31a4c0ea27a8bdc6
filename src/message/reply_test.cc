#include "message/reply.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(EnhancedCode, ReadsWhatRfc3463Allows) {
  const auto code = EnhancedCode::parse("5.1.1");
  ASSERT_TRUE(code);
  EXPECT_EQ(code->klass, 5);
  EXPECT_EQ(code->subject, 1);
  EXPECT_EQ(code->detail, 1);
  EXPECT_EQ(EnhancedCode::parse("4.999.999")->to_string(), "4.999.999");
  EXPECT_EQ(EnhancedCode::parse("2.0.0")->to_string(), "2.0.0");
}

TEST(EnhancedCode, RefusesEverythingElse) {
  for (const char* text :
       {"", "5", "5.", "5.1", "5.1.", "5..1", "3.1.1", "1.1.1", "6.0.0", "0.0.0", "55.1.1",
        "5.1000.1", "5.1.1000", "5.1.1 ", " 5.1.1", "5.1.1.1", "5.-1.1", "a.b.c", "5.1.1x"}) {
    EXPECT_FALSE(EnhancedCode::parse(text)) << text;
  }
}

TEST(EnhancedCode, AnAbsentOneHasNoText) {
  EXPECT_FALSE(EnhancedCode{}.present());
  EXPECT_EQ(EnhancedCode{}.to_string(), "");
}

Reply reply(std::uint16_t code, const char* enhanced, std::string text) {
  Reply out;
  out.code = code;
  out.enhanced = EnhancedCode::parse(enhanced).value_or(EnhancedCode{});
  out.text = std::move(text);
  return out;
}

TEST(Reply, IsOneLineForPeople) {
  EXPECT_EQ(reply(550, "5.1.1", "No such user").to_string(), "550 5.1.1 No such user");
  EXPECT_EQ(reply(550, "", "No \"such\" user").to_string(), "550 No \"such\" user");
  EXPECT_EQ(reply(250, "2.0.0", "").to_string(), "250 2.0.0");
  EXPECT_EQ(reply(0, "4.4.1", "Connection refused").to_string(), "4.4.1 Connection refused");
  EXPECT_EQ(reply(0, "", "").to_string(), "");
}

TEST(Reply, JoinsLinesAndEscapesWhatSteersATerminal) {
  EXPECT_EQ(reply(550, "", "one\ntwo\r\nthree").to_string(), "550 one two three");
  EXPECT_EQ(reply(550, "", "a\rb\x1b[2J").to_string(), "550 a\\x0Db\\x1B[2J");
  EXPECT_EQ(reply(550, "", std::string("nul\0byte", 8)).to_string(), "550 nul\\x00byte");
}

TEST(Reply, KeepsUtf8AndEscapesWhatIsNot) {
  EXPECT_EQ(reply(550, "", "kein Empf\xC3\xA4nger").to_string(), "550 kein Empf\xC3\xA4nger");
  EXPECT_EQ(reply(550, "", "Empf\xE4nger").to_string(), "550 Empf\\xE4nger");
  EXPECT_EQ(reply(550, "", "\xE2\x80\xAEgnp").to_string(),
            "550 \\xE2\\x80\\xAEgnp");  // bidi override
}

TEST(Reply, KnowsItsClass) {
  EXPECT_TRUE(reply(250, "", "").positive());
  EXPECT_TRUE(reply(354, "", "").intermediate());
  EXPECT_TRUE(reply(451, "", "").temporary());
  EXPECT_TRUE(reply(550, "", "").permanent());
  EXPECT_FALSE(reply(0, "", "").temporary());
}

}  // namespace
}  // namespace mansio
