#include "base/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace mansio {
namespace {

TEST(Crc32c, HasTheKnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720 B.4
}

TEST(Crc32c, ContinuesAnEarlierOne) {
  const std::string text = "the quick brown fox jumps over the lazy dog";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(crc32c(text.substr(i), crc32c(text.substr(0, i))), crc32c(text));
  }
}

// These are on disk: a change here loses track of lanes.
TEST(StableHash, NeverChanges) {
  EXPECT_EQ(stable_hash(""), 0xefd01f60ba992926u);
  EXPECT_EQ(stable_hash("example.com"), 0x9591d6421994d599u);
}

TEST(StableHash, SpreadsShortInputsOverPartitions) {
  std::set<std::uint64_t> partitions;
  for (int i = 0; i < 1000; ++i) partitions.insert(stable_hash(std::to_string(i)) % 4096);
  EXPECT_GT(partitions.size(), 850u);  // 1,000 balls into 4,096 bins hit about 886
}

}  // namespace
}  // namespace mansio
