#include "message/domain.h"

#include <gtest/gtest.h>

namespace mansio {
namespace {

std::string ascii_of(std::string_view domain) {
  const auto ascii = to_a_labels(domain);
  return ascii ? *ascii : "error: " + ascii.error().message();
}

ErrorCode error_of(std::string_view domain) {
  const auto ascii = to_a_labels(domain);
  return ascii ? ErrorCode{} : ascii.error();
}

std::string times(std::size_t count, std::string_view piece) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(Domain, OfAsciiChangesOnlyItsCase) {
  EXPECT_EQ(ascii_of("Example.COM"), "example.com");
  EXPECT_EQ(ascii_of("example.com."), "example.com.");
  EXPECT_EQ(ascii_of("a_b.example"), "a_b.example");
  EXPECT_EQ(ascii_of("[IPv6:2001:DB8::1]"), "[ipv6:2001:db8::1]");
  EXPECT_EQ(ascii_of("localhost"), "localhost");
  EXPECT_EQ(ascii_of(""), "");
  // Not the work of IDNA: DNS says whether there is such a name.
  EXPECT_EQ(ascii_of("xn--zzzzzzzz.example"), "xn--zzzzzzzz.example");
}

TEST(Domain, GetsALabelsForULabels_R52) {
  EXPECT_EQ(ascii_of("bücher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(ascii_of("BÜCHER.Example"), "xn--bcher-kva.example");
  EXPECT_EQ(ascii_of("bu\u0308cher.example"), "xn--bcher-kva.example");  // not composed
  EXPECT_EQ(ascii_of("普遍接受-测试.世界"), "xn----f38am99bqvcd5liy1cxsg.xn--rhqv96g");
  EXPECT_EQ(ascii_of("bücher.example."), "xn--bcher-kva.example.");
  EXPECT_EQ(ascii_of("faß.example"), "xn--fa-hia.example");  // non-transitional: not "fass"
}

TEST(Domain, MixesULabelsAndALabels_I15) {
  EXPECT_EQ(ascii_of("xn--bcher-kva.bücher.example"), "xn--bcher-kva.xn--bcher-kva.example");
  EXPECT_EQ(ascii_of("mail.bücher.example"), "mail.xn--bcher-kva.example");
}

TEST(Domain, RefusesWhatNoNameMayHold_I15) {
  EXPECT_EQ(error_of("b\xC3.example"), DomainError::not_a_name);        // broken UTF-8
  EXPECT_EQ(error_of("b\xC0\xAF.example"), DomainError::not_a_name);    // overlong
  EXPECT_EQ(error_of("bücher\u3002example"), DomainError::not_a_name);  // another dot
  EXPECT_EQ(error_of("bücher\u2024example"), DomainError::not_a_name);  // and one more
  EXPECT_EQ(error_of("a\u2100b.example"), DomainError::not_a_name);     // maps to "a/c"
  EXPECT_EQ(error_of("ü\u202Ex.example"), DomainError::not_a_name);     // bidi control
  EXPECT_EQ(error_of("ü..example"), DomainError::not_a_name);           // empty label
  EXPECT_EQ(error_of("ü b.example"), DomainError::not_a_name);          // space
  EXPECT_EQ(error_of(std::string("ü\0b.example", 12)), DomainError::not_a_name);
  EXPECT_EQ(error_of("xn--zzzzzzzz.ü.example"), DomainError::not_a_name);  // a false A-label
}

TEST(Domain, ChecksTheLengthsOfItsALabels_I15) {
  EXPECT_EQ(error_of(times(64, "a") + ".example"), DomainError::too_long);
  EXPECT_EQ(error_of(times(60, "ü") + ".example"), DomainError::too_long);
  EXPECT_EQ(error_of(times(25, "ünterbüro.") + "example"), DomainError::too_long);
  EXPECT_EQ(error_of(times(300, "ü") + ".example"), DomainError::too_long);
  EXPECT_EQ(error_of(times(42, "abcde.") + "x"), ErrorCode{});
  EXPECT_EQ(error_of(times(43, "abcde.") + "x"), DomainError::too_long);
}

}  // namespace
}  // namespace mansio
