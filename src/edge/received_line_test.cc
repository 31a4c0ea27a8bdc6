#include "edge/received_line.h"

#include <gtest/gtest.h>

namespace mansio::edge {
namespace {

Envelope envelope() {
  Envelope envelope;
  envelope.origin.protocol = "ESMTP";
  envelope.origin.client_name = "client.example";
  envelope.origin.client_address = "192.0.2.1";
  Recipient recipient;
  recipient.address = {"b", "y.example"};
  envelope.recipients.push_back(recipient);
  return envelope;
}

const Time now = Time(std::chrono::seconds(1772366400));  // 2026-03-01T12:00:00Z

TEST(ReceivedLine, NamesFromByWithIdForAndDate) {
  EXPECT_EQ(received_line(envelope(), "mx.example", QueueId{}, now),
            "Received: from client.example ([192.0.2.1])\r\n"
            "\tby mx.example with ESMTP\r\n"
            "\tid 00000000000000000000000000\r\n"
            "\tfor <b@y.example>;\r\n"
            "\tSun, 1 Mar 2026 12:00:00 +0000\r\n");
}

TEST(ReceivedLine, IsAsciiUnlessTheRecipientCannotBe) {
  Envelope international = envelope();
  international.origin.protocol = "UTF8SMTP";
  international.recipients[0].address = {"b", "b\u00FCcher.example"};
  const std::string line = received_line(international, "mx.example", QueueId{}, now);
  EXPECT_NE(line.find("with UTF8SMTP\r\n"), std::string::npos);
  EXPECT_NE(line.find("for <b@xn--bcher-kva.example>"), std::string::npos);
  international.recipients[0].address.local = "\u00FC";
  EXPECT_NE(received_line(international, "mx.example", QueueId{}, now)
                .find("for <\u00FC@b\u00FCcher.example>"),
            std::string::npos);
}

TEST(ReceivedLine, NamesNoneOfSeveralRecipients) {
  Envelope two = envelope();
  two.recipients.push_back(two.recipients.front());
  EXPECT_EQ(received_line(two, "mx.example", QueueId{}, now).find("for <"), std::string::npos);
}

TEST(ReceivedLine, ShowsIpv6TlsAndLocalSockets) {
  Envelope other = envelope();
  other.origin.client_address = "2001:db8::1";
  other.origin.protocol = "ESMTPS";
  other.origin.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
  const std::string line = received_line(other, "mx.example", QueueId{}, now);
  EXPECT_NE(line.find("([IPv6:2001:db8::1])"), std::string::npos);
  EXPECT_NE(line.find("with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"), std::string::npos);
  other.origin.client_address = "";
  EXPECT_NE(received_line(other, "mx.example", QueueId{}, now).find("(local)"), std::string::npos);
}

TEST(ReceivedLine, NamesTheUserOfThisMachine_R22) {
  Envelope local = envelope();
  local.origin.client_address = "/run/mansio/submit.sock";
  local.origin.user = "uid:1000";
  EXPECT_TRUE(
      received_line(local, "mx.example", QueueId{}, now)
          .starts_with("Received: from client.example (local, userid 1000)\r\n\tby mx.example "
                       "with ESMTP\r\n"));
  local.origin.protocol = "local";
  EXPECT_TRUE(received_line(local, "mx.example", QueueId{}, now)
                  .starts_with("Received: by mx.example (Mansio, from userid 1000)\r\n\tid 0"));
}

TEST(ReceivedLine, KeepsAHostileNameInItsPlace) {
  Envelope hostile = envelope();
  hostile.origin.client_name = "x(;\\<a>\"@";
  EXPECT_TRUE(received_line(hostile, "mx.example", QueueId{}, now)
                  .starts_with("Received: from x????a??? ([192.0.2.1])\r\n"));
}

}  // namespace
}  // namespace mansio::edge
