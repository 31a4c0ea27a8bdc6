#include "message/content.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/random.h"

namespace mansio {
namespace {

ContentFacts scan(std::string_view octets, std::size_t piece = std::string_view::npos) {
  ContentScanner scanner;
  for (std::size_t at = 0; at < octets.size(); at += std::min(piece, octets.size() - at)) {
    scanner.feed(octets.substr(at, piece));
  }
  return scanner.finish();
}

constexpr std::string_view sample =
    "Received: from a\r\n"
    "\tby b\r\n"
    "Subject: one\r\n"
    "  two\tthree \r\n"
    "RECEIVED : from c\r\n"
    "Subject: second subject\r\n"
    "Received-SPF: pass\r\n"
    "\r\n"
    "Received: this is body\r\n"
    "a longer line of the body, the longest\r\n"
    "last";

TEST(ContentScanner, FindsSizesHeaderAndSubject) {
  const ContentFacts facts = scan(sample);
  EXPECT_EQ(facts.size, sample.size());
  EXPECT_EQ(facts.checksum, crc32c(sample));
  EXPECT_EQ(facts.header_size, sample.find("\r\n\r\n") + 4);
  EXPECT_EQ(facts.subject, "one  two\tthree");
  EXPECT_EQ(facts.longest_line, 38u);
  EXPECT_FALSE(facts.has_8bit_header);
  EXPECT_FALSE(facts.has_8bit_body);
}

TEST(ContentScanner, CountsReceivedFieldsAndHeaderLinesAsTheyCome) {
  ContentScanner scanner;
  scanner.feed("Received: x\r\n");
  EXPECT_EQ(scanner.received_fields(), 1u);
  EXPECT_TRUE(scanner.in_header());
  scanner.feed(sample);
  EXPECT_EQ(scanner.received_fields(), 3u);
  EXPECT_EQ(scanner.header_lines(), 8u);
  EXPECT_FALSE(scanner.in_header());
  EXPECT_EQ(scanner.so_far().size, sample.size() + 13);
}

TEST(ContentScanner, PiecesOfAnySizeGiveTheSameFacts) {
  const ContentFacts whole = scan(sample);
  for (std::size_t piece = 1; piece < sample.size(); ++piece) {
    EXPECT_EQ(scan(sample, piece), whole) << "pieces of " << piece;
  }
}

TEST(ContentScanner, SaysWhereEightBitOctetsAre) {
  EXPECT_TRUE(scan("Subject: \xc3\xbc\r\n\r\nbody\r\n").has_8bit_header);
  EXPECT_FALSE(scan("Subject: \xc3\xbc\r\n\r\nbody\r\n").has_8bit_body);
  EXPECT_TRUE(scan("Subject: u\r\n\r\n123456789\xff\r\n").has_8bit_body);
  EXPECT_FALSE(scan("Subject: u\r\n\r\n123456789\xff\r\n").has_8bit_header);
}

TEST(ContentScanner, OnlyCrlfEndsALine) {
  const ContentFacts facts = scan("a\nb\rc\n\n\r\r\nd: e\r\n\r\n");
  EXPECT_EQ(facts.longest_line, 8u);
  EXPECT_EQ(facts.header_size, facts.size);
  EXPECT_EQ(scan("A: b\n\nbody\r\n").header_size, 12u);
}

TEST(ContentScanner, ContentWithoutAnEmptyLineIsAllHeader) {
  const ContentFacts facts = scan("Subject: alone");
  EXPECT_EQ(facts.header_size, 14u);
  EXPECT_EQ(facts.subject, "alone");
  EXPECT_EQ(facts.longest_line, 14u);
  EXPECT_EQ(scan("").header_size, 0u);
  EXPECT_EQ(scan("\r\nbody").header_size, 2u);
}

TEST(ContentScanner, LongLinesAndSubjectsAreBoundedInMemoryOnly) {
  const std::string line(1'000'000, 'x');
  const ContentFacts facts = scan("Subject: " + line + "\r\n " + line + "\r\n\r\n" + line, 4096);
  EXPECT_EQ(facts.subject, std::string(200, 'x'));
  EXPECT_EQ(facts.longest_line, 1'000'009u);
  EXPECT_EQ(facts.header_size, 2'000'016u);
}

TEST(ContentScanner, RandomContentInRandomPiecesGivesTheSameFacts) {
  constexpr std::uint64_t seed = 4711;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  SeededRandom random(seed);
  const std::string_view alphabet("\r\n\r\n :ab\tSubject:\xe4", 19);
  for (int round = 0; round < 300; ++round) {
    std::string octets(random.below(400), ' ');
    for (char& octet : octets) octet = alphabet[random.below(alphabet.size())];
    ContentScanner scanner;
    for (std::string_view rest = octets; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(1 + random.below(9), rest.size());
      scanner.feed(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    EXPECT_EQ(scanner.finish(), scan(octets));
  }
}

}  // namespace
}  // namespace mansio
