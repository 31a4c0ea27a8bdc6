#include "message/dropped_message.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "message/codec.h"

namespace mansio {
namespace {

Recipient recipient(const std::string& address) {
  Recipient result;
  result.address = result.original = *Address::parse(address, true);
  return result;
}

Envelope envelope() {
  Envelope result;
  result.reverse_path = *Address::parse("ann@example.org", true);
  result.body = BodyType::eight_bit_mime;
  result.dsn_return = DsnReturn::headers;
  result.envelope_id = "id+2B1";
  result.recipients = {recipient("bob@example.com"), recipient("j\u00F6rg@example.com")};
  result.recipients[0].notify.present = result.recipients[0].notify.delay = true;
  result.recipients[0].original_recipient = "rfc822;bob@example.com";
  result.smtputf8 = true;
  return result;
}

/// A head of ours around an envelope that is not.
std::string head_with(const std::string& sender, const std::string& address,
                      const std::string& envelope_id) {
  Encoder head;
  head.string(sender);
  head.u8(0);
  head.boolean(false);
  head.u8(0);
  head.string(envelope_id);
  head.varint(1);
  head.string(address);
  head.u8(0);
  head.string("");
  Encoder out;
  out.raw("MANSIOMD");
  out.u32(1);
  out.u32(static_cast<std::uint32_t>(head.size()));
  out.u64(0);
  out.u32(crc32c(head.octets(), crc32c(out.octets())));
  out.raw(head.octets());
  return std::move(out).octets();
}

TEST(DroppedMessage, ReadsWhatItWrote) {
  const std::string head = encode_drop_head(envelope(), 1234);
  std::string why;
  const auto prefix = parse_drop_prefix(head.substr(0, drop_prefix_size), why);
  ASSERT_TRUE(prefix) << why;
  EXPECT_EQ(prefix->content_size, 1234u);
  EXPECT_EQ(prefix->file_size(), head.size() + 1234 + 4);
  EXPECT_EQ(decode_drop_head(head, why), envelope()) << why;
  EXPECT_EQ(decode_drop_checksum(encode_drop_checksum(0x01020304)), 0x01020304u);
}

TEST(DroppedMessage, HasTheDocumentedOctets) {
  Envelope small;
  small.recipients = {recipient("b@c")};
  const std::string head = encode_drop_head(small, 5);
  EXPECT_EQ(head.substr(0, 24), std::string("MANSIOMD\x01\0\0\0\x0c\0\0\0\x05\0\0\0\0\0\0\0", 24));
  EXPECT_EQ(head.substr(28), std::string("\0\0\0\0\0\x01\x03"
                                         "b@c\0\0",
                                         12));
}

TEST(DroppedMessage, NoticesEveryChangedOctet) {
  const std::string head = encode_drop_head(envelope(), 7);
  for (std::size_t i = 0; i < head.size(); ++i) {
    std::string changed = head;
    changed[i] = static_cast<char>(changed[i] ^ 0x20);
    std::string why;
    EXPECT_FALSE(decode_drop_head(changed, why)) << i;
    EXPECT_NE(why, "");
  }
  for (std::size_t size = 0; size < head.size(); ++size) {
    std::string why;
    EXPECT_FALSE(decode_drop_head(head.substr(0, size), why)) << size;
  }
}

TEST(DroppedMessage, TakesNoEnvelopeThatSmtpCannotCarry_I9) {
  std::string why;
  EXPECT_TRUE(decode_drop_head(head_with("", "b@c.example", ""), why)) << why;
  EXPECT_FALSE(decode_drop_head(head_with("a@b\r\nRCPT TO:<x@y>", "b@c.example", ""), why));
  EXPECT_FALSE(decode_drop_head(head_with("", "b@c.example> SIZE=1", ""), why));
  EXPECT_FALSE(decode_drop_head(head_with("", "", ""), why));
  EXPECT_FALSE(decode_drop_head(head_with("", "b@c.example", "x y"), why));
  EXPECT_FALSE(decode_drop_head(head_with("", "b@c.example", std::string(101, 'x')), why));
  EXPECT_EQ(why, "the envelope holds what no mail can have");
}

}  // namespace
}  // namespace mansio
