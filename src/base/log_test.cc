#include "base/log.h"

#include <gtest/gtest.h>

#include <limits>

namespace mansio {
namespace {

/// What `write` makes of standard error, after the time stamp.
template <class Write>
std::string logged(Write write) {
  testing::internal::CaptureStderr();
  write();
  log::flush();
  auto text = testing::internal::GetCapturedStderr();
  return text;
}

// One test: the format is chosen once per process, at start-up.
TEST(Log, WritesOneEscapedLinePerEvent) {
  const auto text = logged([] {
    log::info("delivered").field("host", "mx.example").field("tries", 3).field("tls", true);
    log::warning("odd").field("reply", "a\r\nb \"c\"").field("empty", "");
    log::debug("hidden").field("x", 1);
  });
  EXPECT_EQ(text.substr(24), " info delivered host=mx.example tries=3 tls=true\n" +
                                 text.substr(text.find('\n') + 1));
  const auto second = text.substr(text.find('\n') + 1);
  EXPECT_EQ(second.substr(24), " warning odd reply=\"a\\x0d\\x0ab \\\"c\\\"\" empty=\"\"\n");
  EXPECT_EQ(text[10], 'T');
  EXPECT_EQ(text[23], 'Z');
}

TEST(Log, JsonLinesAreJsonWhateverTheValues) {
  log::configure(log::Format::json, log::Level::debug);
  const auto text = logged([] {
    log::debug("odd")
        .field("reply", "a\n\xFF\"")
        .field("count", 7)
        .field("ratio", std::numeric_limits<double>::quiet_NaN())
        .field("up", false);
  });
  EXPECT_EQ(text.substr(text.find(",\"level\"")),
            ",\"level\":\"debug\",\"event\":\"odd\",\"reply\":\"a\\n\\ufffd\\\"\",\"count\":7,"
            "\"ratio\":null,\"up\":false}\n");
  EXPECT_EQ(log::dropped(), 0u);
}

}  // namespace
}  // namespace mansio
