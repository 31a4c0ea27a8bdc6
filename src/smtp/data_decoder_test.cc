#include "smtp/data_decoder.h"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace mansio::smtp {
namespace {

struct Decoded {
  std::string content;
  std::size_t used = 0;  ///< octets up to and including the end of data
  bool done = false;
  bool bare_newline = false;
  bool nul = false;
  std::uint64_t longest_line = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

/// Feeds `input` in the pieces that `cuts` ends.
Decoded decode(std::string_view input, bool normalize, const std::vector<std::size_t>& cuts) {
  DataDecoder decoder(normalize);
  Decoded result;
  std::size_t from = 0;
  auto feed = [&](std::size_t to) {
    if (decoder.done()) return;
    const std::string_view piece = input.substr(from, to - from);
    const std::size_t used = decoder.decode(piece, result.content);
    result.used += used;
    EXPECT_TRUE(decoder.done() || used == piece.size());
    from = to;
  };
  for (std::size_t cut : cuts) feed(cut);
  feed(input.size());
  result.done = decoder.done();
  result.bare_newline = decoder.bare_newline();
  result.nul = decoder.nul();
  result.longest_line = decoder.longest_line();
  return result;
}

/// Decodes in one piece, and checks that every way to cut it in up to three pieces, and one octet
/// at a time, gives the same.
Decoded decode_every_way(std::string_view input, bool normalize = false) {
  const Decoded whole = decode(input, normalize, {});
  std::vector<std::size_t> every;
  for (std::size_t first = 0; first <= input.size(); ++first) {
    every.push_back(first);
    for (std::size_t second = first; second <= input.size(); ++second) {
      EXPECT_EQ(decode(input, normalize, {first, second}), whole) << first << " " << second;
    }
  }
  EXPECT_EQ(decode(input, normalize, every), whole);
  return whole;
}

TEST(DataDecoder, FindsTheEndAndLeavesWhatFollows) {
  const auto decoded = decode_every_way("Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.content, "Subject: x\r\n\r\nbody\r\n");
  EXPECT_EQ(decoded.used, std::string_view("Subject: x\r\n\r\nbody\r\n.\r\n").size());
  EXPECT_FALSE(decoded.bare_newline);
}

TEST(DataDecoder, TakesAnEmptyMessage_I19) {
  const auto decoded = decode_every_way(".\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.content, "");
}

TEST(DataDecoder, UndoesDotStuffing) {
  const auto decoded = decode_every_way("..\r\n.a\r\n...\r\na..b\r\n..\r\n.\r\n");
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.content, ".\r\na\r\n..\r\na..b\r\n.\r\n");
}

TEST(DataDecoder, MeasuresLinesWithoutStuffingAndLineEnd_I17) {
  EXPECT_EQ(decode_every_way("ab\r\n..xyz\r\n\r\n.\r\n").longest_line, 4u);
  EXPECT_EQ(decode(std::string(998, 'x') + "\r\n.\r\n", false, {}).longest_line, 998u);
  EXPECT_EQ(decode(std::string(1 << 20, 'x'), false, {5, 100, 1000}).longest_line, 1u << 20);
}

TEST(DataDecoder, EndsAtNothingButTheTrueEnd_I1) {
  using namespace std::string_view_literals;
  // Each looks like an end of data to some server; behind it stands a forged transaction.
  for (std::string_view fake :
       {"\n.\n"sv, "\n.\r\n"sv, "\r\n.\n"sv, "\r.\r"sv, "\r\n.\r"sv, "\r.\r\n"sv, "\n.\r"sv,
        "\r.\n"sv, "\r\n\0.\r\n"sv, "\r\n.\0\r\n"sv, "\0\r\n.\r\0\n"sv, "\r\n.\r\r\n"sv,
        "\r\r\n.\r\r\n"sv, "\r\n.\n\r\n"sv, "\n\n.\n\n"sv, "\r\n. \r\n"sv, "\r\n.\r \n"sv}) {
    const std::string input =
        "Subject: x\r\n\r\na" + std::string(fake) + "MAIL FROM:<evil@x.example>\r\n.\r\nNOOP\r\n";
    for (bool normalize : {false, true}) {
      const auto decoded = decode_every_way(input, normalize);
      EXPECT_TRUE(decoded.done);
      // The end is the last of the input, so the forged command is content, never a command.
      EXPECT_EQ(decoded.used, input.size() - std::string_view("NOOP\r\n").size()) << fake;
      if (fake != "\r\n. \r\n"sv) {
        EXPECT_TRUE(decoded.bare_newline || decoded.nul) << fake;
      }
      if (normalize && !decoded.nul) {
        EXPECT_NE(decoded.content.find("MAIL FROM"), std::string::npos);
      }
    }
  }
}

TEST(DataDecoder, NormalizedContentHasNoLoneOctets_I1) {
  const auto decoded = decode_every_way("a\nb\rc\r\r\nd\n.\n..e\r\n.\r\n", true);
  EXPECT_TRUE(decoded.done);
  EXPECT_TRUE(decoded.bare_newline);
  EXPECT_EQ(decoded.content, "a\r\nb\r\nc\r\n\r\nd\r\n.\r\n..e\r\n");
}

TEST(DataDecoder, AppendsNothingAfterAFault) {
  const auto decoded = decode("abc\r\nd\nsecond\r\n.\r\n", false, {});
  EXPECT_TRUE(decoded.done);
  EXPECT_EQ(decoded.content, "abc\r\nd");
}

TEST(DataDecoder, ReportsNulAndReadsOn_I8) {
  using namespace std::string_view_literals;
  const auto decoded = decode_every_way("a\0b\r\n.\r\n"sv);
  EXPECT_TRUE(decoded.done);
  EXPECT_TRUE(decoded.nul);
  EXPECT_FALSE(decoded.bare_newline);
}

/// Every text of seven octets over the ones that matter, against a plain reading of the rule.
TEST(DataDecoder, AgreesWithTheRuleForEveryShortInput_I1) {
  constexpr std::string_view alphabet = "\r\n.a";
  constexpr int length = 7;
  for (int number = 0; number < 1 << (2 * length); ++number) {
    std::string input;
    for (int i = 0; i < length; ++i) {
      input += alphabet[static_cast<std::size_t>(number >> (2 * i) & 3)];
    }
    // The rule: CR LF . CR LF, where the start counts as CR LF.
    const std::string framed = "\r\n" + input;
    const auto end = framed.find("\r\n.\r\n");
    const Decoded decoded = decode(input, false, {});
    ASSERT_EQ(decoded.done, end != std::string::npos) << input;
    if (decoded.done) {
      ASSERT_EQ(decoded.used, end + 3) << input;
    }
    ASSERT_EQ(decode(input, false, {1, 2, 3, 4, 5, 6}), decoded) << input;
  }
}

TEST(DataDecoder, EveryOctetPassesInEveryPlaceOfALine) {
  for (int value = 1; value < 256; ++value) {
    const char octet = static_cast<char>(value);
    if (octet == '\r' || octet == '\n') continue;
    for (std::size_t place = 1; place < 20; ++place) {
      std::string line(20, 'a');
      line[place] = octet;
      const std::string content = "b\r\n" + line + "\r\n\xff" + line + "\r\n";
      const Decoded decoded = decode(content + ".\r\nQUIT\r\n", false, {});
      EXPECT_EQ(decoded.content, content) << value << " at " << place;
      EXPECT_EQ(decoded.used, content.size() + 3);
      EXPECT_EQ(decoded.longest_line, 21u);
      EXPECT_FALSE(decoded.bare_newline || decoded.nul);
    }
  }
}

TEST(DataDecoder, AFaultIsFoundInEveryPlaceOfALine) {
  for (std::size_t place = 0; place < 20; ++place) {
    for (const char octet : {'\r', '\n', '\0'}) {
      std::string line(20, 'a');
      line[place] = octet;
      const Decoded decoded = decode("b\r\n" + line + "\r\nc\r\n.\r\n", false, {});
      EXPECT_TRUE(decoded.done);
      EXPECT_EQ(decoded.bare_newline, octet != '\0') << place;
      EXPECT_EQ(decoded.nul, octet == '\0') << place;
    }
  }
}

}  // namespace
}  // namespace mansio::smtp
