#include "mansio/sink_data.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "mansio/load_content.h"

namespace mansio::sink {
namespace {

/// Feeds `wire` in pieces of `size`, keeping what the reader leaves, as a session does.
Received read_in_pieces(std::string_view wire, std::size_t size, std::string* left = nullptr) {
  DataReader reader;
  std::string buffer;
  while (!wire.empty() && !reader.finished()) {
    buffer += wire.substr(0, size);
    wire.remove_prefix(std::min(size, wire.size()));
    std::string_view input = buffer;
    reader.feed(input);
    buffer = std::string(input);
  }
  EXPECT_TRUE(reader.finished());
  if (left != nullptr) *left = buffer + std::string(wire);
  return reader.received();
}

TEST(DataReader, FindsTheSameInPiecesOfAnySize) {
  const std::string plain = "Subject: x\r\n\r\na\r\n.b\r\n\r\r\n..c\r\n.\rd\n.\ne\r\n";
  const std::string wire = "Subject: x\r\n\r\na\r\n..b\r\n\r\r\n...c\r\n..\rd\n.\ne\r\n.\r\nNEXT";
  for (std::size_t size = 1; size <= wire.size(); ++size) {
    std::string left;
    const Received received = read_in_pieces(wire, size, &left);
    EXPECT_EQ(received.size, plain.size()) << size;
    EXPECT_EQ(received.checksum, crc32c(plain)) << size;
    EXPECT_EQ(received.subject, "x");
    EXPECT_EQ(left, "NEXT");
  }
}

TEST(DataReader, TakesAnEmptyMessage) {
  EXPECT_EQ(read_in_pieces(".\r\n", 1).size, 0U);
  EXPECT_EQ(read_in_pieces("\r\n.\r\n", 1).size, 2U);
}

TEST(DataReader, ChecksFromTheTokenOnSoThatARelayMayPutFieldsOnTop) {
  const std::string rest = "X-Load-Id: t1\r\nSubject: s\r\n\r\nbody\r\n";
  const Received plain = read_in_pieces(rest + ".\r\n", 4);
  const Received relayed = read_in_pieces("Received: from a\r\n\tby b\r\n" + rest + ".\r\n", 4);
  EXPECT_EQ(plain.token, "t1");
  EXPECT_EQ(relayed.token, "t1");
  EXPECT_EQ(plain.checksum, crc32c(rest));
  EXPECT_EQ(relayed.checksum, plain.checksum);
}

TEST(DataReader, LooksForATokenInTheHeaderOnly) {
  const std::string content = "Subject: s\r\n\r\nX-Load-Id: t1\r\n";
  const Received received = read_in_pieces(content + ".\r\n", 7);
  EXPECT_EQ(received.token, "");
  EXPECT_EQ(received.checksum, crc32c(content));
}

TEST(DataReader, AgreesWithTheGenerator) {
  for (const std::uint64_t size : {1U, 300U, 301U, 302U, 377U, 378U, 379U, 380U, 4096U, 100000U}) {
    load::MessageMaker::Options options;
    options.size = size;
    options.from = "a@b.example";
    options.domains = load::parse_domains("b.example");
    const load::MessageMaker maker(options);
    const std::string header = maker.header(7);
    const Received received =
        read_in_pieces(header + std::string(maker.wire_body()) + ".\r\n", 1000);
    EXPECT_EQ(received.token, maker.token(7));
    EXPECT_EQ(received.size, maker.size());
    EXPECT_EQ(received.checksum, maker.checksum(header));
    if (size > 300) {
      EXPECT_EQ(received.size, size);
    }
  }
}

}  // namespace
}  // namespace mansio::sink
