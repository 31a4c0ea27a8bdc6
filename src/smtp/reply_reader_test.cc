#include "smtp/reply_reader.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"

namespace mansio::smtp {
namespace {

struct Outcome {
  std::vector<Reply> replies;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// Feeds `octets` in pieces of the given sizes (the last size repeats).
Outcome read_all(std::string_view octets, const std::vector<std::size_t>& pieces) {
  Outcome outcome;
  ReplyReader reader;
  std::size_t piece = 0;
  std::string waiting;
  while (!octets.empty() || !waiting.empty()) {
    if (!octets.empty()) {
      const std::size_t size =
          std::min(pieces[std::min(piece++, pieces.size() - 1)], octets.size());
      waiting += octets.substr(0, size);
      octets.remove_prefix(size);
    }
    const std::size_t used = reader.feed(waiting);
    waiting.erase(0, used);
    if (reader.failed()) {
      outcome.error = reader.error();
      return outcome;
    }
    if (reader.complete()) outcome.replies.push_back(reader.take());
    if (octets.empty() && used == 0) break;
  }
  return outcome;
}

TEST(ReplyReader, ReadsASingleLine) {
  const Outcome outcome = read_all("250 2.1.5 Recipient ok\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 1u);
  EXPECT_EQ(outcome.replies[0].code, 250);
  EXPECT_EQ(outcome.replies[0].enhanced, (EnhancedCode{2, 1, 5}));
  EXPECT_EQ(outcome.replies[0].text, "Recipient ok");
}

TEST(ReplyReader, JoinsTheLinesOfAReplyAndTakesTheEnhancedCodeOutOfEach) {
  const Outcome outcome =
      read_all("550-5.7.1 Go away\r\n550-5.7.1 and\r\n550 5.7.1 stay away\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 1u);
  EXPECT_EQ(outcome.replies[0].enhanced, (EnhancedCode{5, 7, 1}));
  EXPECT_EQ(outcome.replies[0].text, "Go away\nand\nstay away");
}

TEST(ReplyReader, LeavesAnEnhancedCodeOfAnotherClassInTheText) {
  const Outcome outcome = read_all("451 5.4.0 confused\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 1u);
  EXPECT_FALSE(outcome.replies[0].enhanced.present());
  EXPECT_EQ(outcome.replies[0].text, "5.4.0 confused");
}

TEST(ReplyReader, ReadsTheShortestFormsAndLoneNewlines) {
  const Outcome outcome = read_all("250\r\n354 \n220-a\n220\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 3u);
  EXPECT_EQ(outcome.replies[0].code, 250);
  EXPECT_EQ(outcome.replies[1].code, 354);
  EXPECT_EQ(outcome.replies[2].text, "a\n");
}

TEST(ReplyReader, AcceptsCodesOutsideTheStandardsTable) {
  const Outcome outcome = read_all("571 no\r\n499 no\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 2u);
  EXPECT_EQ(outcome.replies[0].code, 571);
}

TEST(ReplyReader, RefusesWhatIsNoReply) {
  const std::vector<std::string> inputs = {"099 no\r\n",
                                           "666 no\r\n",
                                           "600 no\r\n",
                                           "199 no\r\n",
                                           "hello\r\n",
                                           "25\r\n",
                                           "\r\n",
                                           "2500 four\r\n",
                                           "250_x\r\n",
                                           "250-a\r\n251 b\r\n",
                                           "250-a\r\n\r\n",
                                           " 250 a\r\n",
                                           "+50 a\r\n",
                                           std::string("250 a\0b\r\n", 9),
                                           "HTTP/1.1 200\n",
                                           "250\ttab\r\n",
                                           "250-x\r\nbye\r\n"};
  for (const std::string& input : inputs) {
    EXPECT_FALSE(read_all(input, {1000}).error.empty()) << input;
  }
}

TEST(ReplyReader, LimitsALine) {
  std::string line = "250 " + std::string(2048 - 6, 'x') + "\r\n";
  EXPECT_EQ(read_all(line, {7}).replies.size(), 1u);
  line.insert(10, "y");
  EXPECT_NE(read_all(line, {7}).error.find("too long"), std::string::npos);
  // A line that never ends is found out without waiting for its end.
  EXPECT_NE(read_all(std::string(1 << 20, '2'), {4096}).error.find("too long"), std::string::npos);
}

TEST(ReplyReader, LimitsTheLinesAndTheWhole) {
  std::string many;
  for (int i = 0; i < 99; ++i) many += "250-x\r\n";
  EXPECT_EQ(read_all(many + "250 x\r\n", {1000}).replies.size(), 1u);
  EXPECT_FALSE(read_all(many + "250-x\r\n250 x\r\n", {1000}).error.empty());
  std::string large;
  for (int i = 0; i < 40; ++i) large += "250-" + std::string(2000, 'x') + "\r\n";
  EXPECT_FALSE(read_all(large, {1000}).error.empty());
}

TEST(ReplyReader, KeepsAtMostSoMuchText) {
  std::string input;
  for (int i = 0; i < 20; ++i) input += "550-" + std::string(1000, 'x') + "\r\n";
  const Outcome outcome = read_all(input + "550 end\r\n", {1000});
  ASSERT_EQ(outcome.replies.size(), 1u);
  EXPECT_LE(outcome.replies[0].text.size(), 4097u);
}

TEST(ReplyReader, FailsForGood) {
  ReplyReader reader;
  reader.feed("nonsense\r\n");
  ASSERT_TRUE(reader.failed());
  EXPECT_EQ(reader.feed("250 ok\r\n"), 0u);
  EXPECT_FALSE(reader.complete());
}

TEST(ReplyReader, GivesTheSameForEverySplit) {
  const std::string input =
      "220 mx ESMTP\r\n250-mx\r\n250-SIZE 1000\r\n250 PIPELINING\r\n250 2.1.0 ok\r\n354 go\r\n";
  const Outcome whole = read_all(input, {input.size()});
  ASSERT_EQ(whole.replies.size(), 4u);
  for (std::size_t first = 1; first < input.size(); ++first) {
    EXPECT_EQ(read_all(input, {first, input.size()}), whole);
    EXPECT_EQ(read_all(input, {first, 1}), whole);
  }
}

TEST(ReplyReader, SurvivesNoise) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SeededRandom random(seed);
    std::string noise;
    const std::string alphabet = "0123456789 -\r\n.x";
    for (int i = 0; i < 400; ++i) {
      noise += random.below(20) == 0 ? static_cast<char>(random.below(256))
                                     : alphabet[random.below(alphabet.size())];
      if (random.below(10) == 0) noise += "250-";
    }
    EXPECT_EQ(read_all(noise, {1}), read_all(noise, {noise.size()})) << "seed " << seed;
  }
}

}  // namespace
}  // namespace mansio::smtp
