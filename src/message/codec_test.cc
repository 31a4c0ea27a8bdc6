#include "message/codec.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"

namespace mansio {
namespace {

using namespace std::chrono_literals;

QueueId id_of(std::uint8_t number) {
  QueueId id;
  id.octets.fill(0xa0);
  id.octets[15] = number;
  return id;
}

Message full_message(int recipients = 40) {
  Message message;
  message.id = id_of(1);
  Envelope& envelope = message.envelope;
  envelope.reverse_path = {"sender", "example.org"};
  envelope.body = BodyType::eight_bit_mime;
  envelope.smtputf8 = true;
  envelope.dsn_return = DsnReturn::headers;
  envelope.envelope_id = "QQ+2B314159";
  envelope.origin = {"ESMTPS", "192.0.2.7:4711", "client.example", "TLSv1.3", "user name"};
  for (int i = 0; i < recipients; ++i) {
    Recipient recipient;
    recipient.address = {"user" + std::to_string(i), "d" + std::to_string(i % 20) + ".example"};
    recipient.original = i % 3 == 0 ? Address{"alias", "example.net"} : recipient.address;
    recipient.notify.present = i % 2 == 0;
    recipient.notify.never = i % 5 == 0;
    recipient.notify.success = i % 7 == 0;
    recipient.notify.failure = i % 4 == 0;
    recipient.notify.delay = i % 6 == 0;
    recipient.original_recipient = i % 2 == 0 ? "rfc822;user+2Btag@x" : "";
    envelope.recipients.push_back(recipient);
    message.lanes.push_back({recipient.address.domain, i % 2 == 0 ? "default" : "other"});
  }
  message.content.id = id_of(2);
  message.content.facts = {1ULL << 40, 0xdeadbeef, 1234, true, false, 998, "\xc3\xbc ?= subject"};
  message.accepted_at = Time(1700000000123456us);
  message.expires_at = Time(-5us);
  message.tenant = "acme";
  message.campaign = std::string("a\0b", 3);
  message.klass = PriorityClass::low;
  message.is_notice = true;
  return message;
}

Disposition full_disposition() {
  Disposition disposition;
  disposition.outcome = Outcome::failed;
  disposition.reply = {554, {5, 999, 17}, std::string("<\"no\">\n\r\x01\xff", 10)};
  disposition.stage = Stage::final_dot;
  disposition.cause = Cause::tries;
  disposition.host = "mx.example";
  disposition.address = "[2001:db8::1]:25";
  disposition.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
  disposition.counts_as_try = false;
  disposition.peer_has_dsn = true;
  disposition.in_doubt = true;
  return disposition;
}

RecipientStatus full_status() {
  RecipientStatus status;
  status.state = RecipientState::moved;
  status.due = Time(std::chrono::microseconds::max());
  status.tries = std::numeric_limits<std::uint32_t>::max();
  status.retry_count = 129;
  status.delay_notices = 300;
  status.last_attempt = Time(std::chrono::microseconds::min());
  status.last = full_disposition();
  return status;
}

void expect_same(const Message& a, const Message& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.envelope, b.envelope);
  EXPECT_EQ(a.lanes, b.lanes);
  EXPECT_EQ(a.content.id, b.content.id);
  EXPECT_EQ(a.content.facts, b.content.facts);
  EXPECT_EQ(a.accepted_at, b.accepted_at);
  EXPECT_EQ(a.expires_at, b.expires_at);
  EXPECT_EQ(a.tenant, b.tenant);
  EXPECT_EQ(a.campaign, b.campaign);
  EXPECT_EQ(a.klass, b.klass);
  EXPECT_EQ(a.is_notice, b.is_notice);
}

template <class Value>
std::string encoded(const Value& value) {
  Encoder out;
  encode(out, value);
  return std::move(out).octets();
}

TEST(Codec, ReadsBackWhatItWrote) {
  Message message;
  const std::string octets = encoded(full_message()) + encoded(full_status());
  Decoder in(octets);
  ASSERT_TRUE(decode(in, message));
  expect_same(message, full_message());
  EXPECT_EQ(message.content.octets, nullptr);
  RecipientStatus status;
  ASSERT_TRUE(decode(in, status));
  EXPECT_EQ(status, full_status());
  EXPECT_TRUE(in.at_end());
}

TEST(Codec, ReadsBackEmptyValues) {
  const std::string octets = encoded(Message{}) + encoded(RecipientStatus{});
  Decoder in(octets);
  Message message = full_message();
  RecipientStatus status = full_status();
  ASSERT_TRUE(decode(in, message));
  ASSERT_TRUE(decode(in, status));
  expect_same(message, Message{});
  EXPECT_EQ(status, RecipientStatus{});
}

TEST(Codec, ManyRecipientsOfOneDestinationNameItOnce) {
  Message message = full_message();
  message.envelope.recipients.assign(1000, Recipient{});
  message.lanes.assign(1000, LaneKey{std::string(200, 'd'), "default"});
  const std::string octets = encoded(message);
  EXPECT_LT(octets.size(), 20'000u);
  Decoder in(octets);
  Message read;
  ASSERT_TRUE(decode(in, read));
  EXPECT_EQ(read.lanes, message.lanes);
}

// The octets of version 1 as they are on disks. This test may only be added to.
TEST(Codec, VersionOneKeepsItsOctets) {
  Disposition disposition;
  disposition.outcome = Outcome::deferred;
  disposition.reply = {451, {4, 3, 0}, "no"};
  disposition.stage = Stage::rcpt;
  disposition.host = "mx";
  const std::string_view expected("\x01\x01\xc3\x03\x04\x03\x00\x02no\x08\x00\x02mx\x00\x00\x01",
                                  18);
  EXPECT_EQ(encoded(disposition), expected);
}

// What version 1 wrote of a recipient, which had no count of delay notices.
TEST(Codec, AStatusOfVersionOneIsReadWithoutDelayNotices) {
  const std::string_view octets(
      "\x01\x01\x00\x10\x20\x30\x40\x50\x06\x00\x07\x81\x01\x01\x00\x00\x00\x00\x00\x00\x00"
      "\x01\x01\xc3\x03\x04\x03\x00\x02no\x08\x00\x02mx\x00\x00\x01",
      39);
  RecipientStatus status;
  status.delay_notices = 9;
  Decoder in(octets);
  ASSERT_TRUE(decode(in, status));
  EXPECT_TRUE(in.at_end());
  EXPECT_EQ(status.state, RecipientState::held);
  EXPECT_EQ(status.due.time_since_epoch().count(), 0x0006504030201000);
  EXPECT_EQ(status.tries, 7u);
  EXPECT_EQ(status.retry_count, 129u);
  EXPECT_EQ(status.delay_notices, 0u);
  EXPECT_EQ(status.last_attempt.time_since_epoch().count(), 1);
  EXPECT_EQ(status.last.reply.code, 451);
  EXPECT_NE(encoded(status), octets);  // written again, it is of version 2
  EXPECT_EQ(encoded(status)[0], 2);
}

TEST(Codec, VarintsHaveOneFormAndStayInRange) {
  for (const std::uint64_t value : {0ULL, 1ULL, 127ULL, 128ULL, 300ULL, 1ULL << 35, ~0ULL}) {
    Encoder out;
    out.varint(value);
    Decoder in(out.octets());
    EXPECT_EQ(in.varint(), value);
    EXPECT_TRUE(in.ok() && in.at_end());
  }
  const std::string_view wrong[] = {
      std::string_view("\x80\x00", 2),                                   // longer than needed
      std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),      // 65 bits
      std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),  // eleven octets
      std::string_view("\x80"), std::string_view("")};
  for (const std::string_view octets : wrong) {
    Decoder in(octets);
    EXPECT_EQ(in.varint(), 0u);
    EXPECT_FALSE(in.ok());
  }
}

TEST(Codec, LengthsOverWhatIsLeftAreRefusedAndTheDecoderStaysFailed) {
  Encoder out;
  out.varint(~0ULL);
  out.raw("abc");
  Decoder in(out.octets());
  EXPECT_EQ(in.string(), "");
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);
  EXPECT_EQ(in.u64(), 0u);
  EXPECT_EQ(in.count(), 0u);
  EXPECT_TRUE(in.id().is_nil());
  EXPECT_FALSE(in.ok());

  Decoder counts(
      std::string_view("\x04"
                       "abc",
                       4));
  EXPECT_EQ(counts.count(), 0u);
  EXPECT_FALSE(counts.ok());
  Decoder flag(std::string_view("\x02", 1));
  EXPECT_FALSE(flag.boolean());
  EXPECT_FALSE(flag.ok());
}

TEST(Codec, RefusesLaterVersionsUnknownFlagsAndUnknownEnumerators) {
  std::string later = encoded(full_disposition());
  later[0] = 2;
  std::string outcome = encoded(full_disposition());
  outcome[1] = 4;
  std::string flags = encoded(full_disposition());
  flags.back() = static_cast<char>(0x08);
  for (const std::string& octets : {later, outcome, flags}) {
    Decoder in(octets);
    Disposition disposition;
    EXPECT_FALSE(decode(in, disposition));
    EXPECT_FALSE(in.ok());
  }
}

// Every prefix of an encoding is refused: nothing is optional at the end.
TEST(Codec, RefusesEveryTruncation) {
  const std::string message_octets = encoded(full_message());
  for (std::size_t size = 0; size < message_octets.size(); ++size) {
    // A copy of its own, so that a sanitizer sees a read past the end.
    const std::string cut(message_octets, 0, size);
    Decoder in(cut);
    Message message;
    EXPECT_FALSE(decode(in, message)) << "at " << size;
  }
  const std::string status_octets = encoded(full_status());
  for (std::size_t size = 0; size < status_octets.size(); ++size) {
    const std::string cut(status_octets, 0, size);
    Decoder in(cut);
    RecipientStatus status;
    EXPECT_FALSE(decode(in, status)) << "at " << size;
  }
}

/// What decodes at all is a value that encodes to what was read: nothing was made up or dropped.
template <class Value>
void expect_refused_or_exact(const std::string& octets) {
  Decoder in(octets);
  Value value;
  if (!decode(in, value)) {
    EXPECT_FALSE(in.ok());
    return;
  }
  const std::string again = encoded(value);
  const std::size_t read = octets.size() - in.left();
  Decoder second(again);
  Value same;
  EXPECT_TRUE(decode(second, same));
  EXPECT_EQ(encoded(same), again);
  EXPECT_LE(again.size(), read);
}

TEST(Codec, SurvivesEverySingleBitFlip) {
  const std::string message_octets = encoded(full_message(5));
  const std::string status_octets = encoded(full_status());
  for (std::size_t i = 0; i < message_octets.size() * 8; ++i) {
    std::string flipped = message_octets;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << i % 8);
    expect_refused_or_exact<Message>(flipped);
  }
  for (std::size_t i = 0; i < status_octets.size() * 8; ++i) {
    std::string flipped = status_octets;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << i % 8);
    expect_refused_or_exact<RecipientStatus>(flipped);
  }
}

TEST(Codec, SurvivesRandomDamageAndRandomOctets) {
  constexpr std::uint64_t seed = 20240229;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  SeededRandom random(seed);
  const std::string whole = encoded(full_message(8));
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = whole.substr(0, 1 + random.below(whole.size()));
    for (std::uint64_t hits = 1 + random.below(8); hits > 0; --hits) {
      damaged[random.below(damaged.size())] = static_cast<char>(random.next());
    }
    expect_refused_or_exact<Message>(damaged);
    std::string noise(random.below(300), '\0');
    for (char& octet : noise) octet = static_cast<char>(random.next());
    if (!noise.empty()) noise[0] = 1;
    expect_refused_or_exact<Message>(noise);
    expect_refused_or_exact<RecipientStatus>(noise);
    expect_refused_or_exact<Disposition>(noise);
  }
}

}  // namespace
}  // namespace mansio
