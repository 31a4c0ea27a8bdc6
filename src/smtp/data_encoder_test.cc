#include "smtp/data_encoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace mansio::smtp {
namespace {

std::string encode(std::string_view content, std::size_t first, std::size_t others) {
  DataEncoder encoder;
  Outgoing out(true);
  encoder.feed(content.substr(0, first), out);
  for (std::size_t at = std::min(first, content.size()); at < content.size(); at += others) {
    encoder.feed(content.substr(at, others), out);
  }
  encoder.finish(out);
  EXPECT_EQ(out.to_string().size(), out.size());
  return out.to_string();
}

/// No bare CR or LF, and a line beginning with a dot begins with two, but for the last.
void expect_safe(const std::string& wire) {
  ASSERT_TRUE(wire.ends_with(".\r\n"));
  ASSERT_TRUE(wire == ".\r\n" || wire.ends_with("\r\n.\r\n"));
  for (std::size_t i = 0; i < wire.size(); ++i) {
    if (wire[i] == '\n') {
      ASSERT_TRUE(i > 0 && wire[i - 1] == '\r');
    }
    if (wire[i] == '\r') {
      ASSERT_TRUE(i + 1 < wire.size() && wire[i + 1] == '\n');
    }
    const bool line_start = i == 0 || wire[i - 1] == '\n';
    if (line_start && wire[i] == '.' && i != wire.size() - 3) {
      ASSERT_EQ(wire[i + 1], '.');
    }
  }
}

TEST(DataEncoder, EncodesTheTable) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ".\r\n"},
      {"a\r\n", "a\r\n.\r\n"},
      {"a", "a\r\n.\r\n"},
      {".", "..\r\n.\r\n"},
      {".\r\n", "..\r\n.\r\n"},
      {"..a\r\nb.\r\n.c\r\n", "...a\r\nb.\r\n..c\r\n.\r\n"},
      {"a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
      {"a\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
      {"a\r.\rb", "a\r\n..\r\nb\r\n.\r\n"},
      {"a\r\n.\rb", "a\r\n..\r\nb\r\n.\r\n"},
      {"a\r.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
      {"a\r\r\n", "a\r\n\r\n.\r\n"},
      {"a\n\r\n", "a\r\n\r\n.\r\n"},
      {"a\r", "a\r\n.\r\n"},
      {"\r\n", "\r\n.\r\n"},
      {"\r\n.\r\n", "\r\n..\r\n.\r\n"},
  };
  for (const auto& [content, wire] : cases) {
    for (std::size_t first = 0; first <= content.size(); ++first) {
      EXPECT_EQ(encode(content, first, 1000), wire) << "split at " << first;
      EXPECT_EQ(encode(content, first, 1), wire) << "split at " << first;
    }
  }
}

TEST(DataEncoder, NoticesRepairs) {
  Outgoing out(true);
  DataEncoder clean;
  clean.feed(".a\r\n\r\nb", out);
  clean.finish(out);
  EXPECT_FALSE(clean.repaired());
  for (const std::string content : {"a\nb", "a\rb", "a\r"}) {
    DataEncoder damaged;
    damaged.feed(content, out);
    damaged.finish(out);
    EXPECT_TRUE(damaged.repaired()) << content;
  }
}

TEST(DataEncoder, LetsNothingUnsafeOutWhateverTheContentAndTheSplit) {
  const std::string alphabet("\r\n.a\0", 5);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    SeededRandom random(seed);
    std::string content;
    for (std::uint64_t i = random.below(24); i > 0; --i) content += alphabet[random.below(5)];
    const std::string whole = encode(content, content.size(), 1);
    expect_safe(whole);
    EXPECT_EQ(encode(content, random.below(content.size() + 1), 1 + random.below(5)), whole)
        << "seed " << seed;
  }
}

TEST(DataEncoder, LeavesCleanContentAsItIs) {
  std::string content;
  for (int i = 0; i < 100; ++i) content += "line " + std::to_string(i) + " with . dots.\r\n";
  EXPECT_EQ(encode(content, 50, 64), content + ".\r\n");
  EXPECT_EQ(encode(content, 1500, 1500), content + ".\r\n");
}

TEST(DataEncoder, CopiesNoLongRunOfContentThatLasts) {
  std::string content(100 * 70, 'x');
  for (std::size_t at = 68; at < content.size(); at += 70) content.replace(at, 2, "\r\n");
  content += ".dot\r\n" + content;
  Outgoing out(true);
  DataEncoder encoder;
  encoder.feed(content, out);
  encoder.finish(out);
  const auto buffers = out.buffers();
  ASSERT_EQ(buffers.size(), 4);  // up to the dot; the line with its two dots; the rest; the end
  EXPECT_EQ(buffers[0].data(), content.data());
  EXPECT_EQ(buffers[0].size(), 7000);
  EXPECT_EQ(buffers[2].data(), content.data() + 7006);
  EXPECT_EQ(buffers[2].size(), 7000);
  Outgoing copied(false);
  DataEncoder another;
  another.feed(content, copied);
  another.finish(copied);
  EXPECT_EQ(copied.buffers().size(), 1);
  EXPECT_EQ(copied.to_string(), out.to_string());
}

}  // namespace
}  // namespace mansio::smtp
