#include "base/stream.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

TEST(Endpoint, IsReadBackAsShown) {
  for (const char* text :
       {"192.0.2.1:25", "[2001:db8::1]:25", "/run/x.sock", "mail.example:2525"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  EXPECT_EQ(Endpoint::parse("[::1]:25")->address, "::1");
  EXPECT_TRUE(Endpoint::parse("/x")->is_unix());
}

TEST(Endpoint, RefusesOtherText) {
  for (const char* text : {"", "192.0.2.1", "::1:25", "[::1]", "[host]:25", "a:65536", "a:", ":25",
                           "a:-1", "a b:25", "/"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

}  // namespace
}  // namespace mansio
