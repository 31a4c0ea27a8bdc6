#include "message/address.h"

#include <gtest/gtest.h>

#include <vector>

namespace mansio {
namespace {

std::string times(std::size_t count, std::string_view piece) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += piece;
  return out;
}

ErrorCode error_of(std::string_view text, bool allow_utf8 = false) {
  const auto parsed = Address::parse(text, allow_utf8);
  return parsed ? ErrorCode{} : parsed.error();
}

TEST(Address, KeepsEveryOctetOfWhatItAccepts) {
  const std::vector<std::pair<std::string, std::string>> accepted = {
      {"user", "example.com"},
      {"User.NAME+tag", "Example.COM"},
      {"o'brien", "example.com"},
      {"a/b=c", "example.com"},
      {"!#$%&'*+-/=?^_`{|}~", "example.com"},
      {"${run{id}}", "example.com"},
      {"%s%n", "example.com"},
      {"-oQ/tmp", "example.com"},
      {"\"a b\"", "example.com"},
      {"\"a\\\"b\"", "example.com"},
      {"\"a\\\\\"", "example.com"},
      {"\"a@b\"", "example.com"},
      {"\"a>b\"", "example.com"},
      {"\"..\"", "example.com"},
      {"\"\"", "example.com"},
      {"\"; rm -rf /\"", "example.com"},
      {"\"\\a\"", "example.com"},
      {"user", "[192.0.2.1]"},
      {"user", "[IPv6:2001:db8::1]"},
      {"user", "[ipv6:::1]"},
      {"user", "[IPv6:::]"},
      {"user", "[IPv6:1:2:3:4:5:6:7:8]"},
      {"user", "[IPv6:::ffff:192.0.2.1]"},
      {"user", "[IPv6:1:2:3:4:5:6:192.0.2.1]"},
      {"user", "localhost"},
      {"user", "a_b.example.com"},
      {"user", "example.com."},
      {"user", "1.2.3.4"},
      {"user", "xn--bcher-kva.example"},
  };
  for (const auto& [local, domain] : accepted) {
    const std::string text = local + '@' + domain;
    const auto address = Address::parse(text, false);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->local, local);
    EXPECT_EQ(address->domain, domain);
    EXPECT_EQ(address->to_string(), text);
    EXPECT_FALSE(address->needs_utf8());
  }
}

TEST(Address, RefusesWhatIsNoPath) {
  const std::vector<std::string> refused = {
      "",
      "@",
      "user",
      "user@",
      "@example.com",
      "user@@example.com",
      "a@b@example.com",
      ".user@example.com",
      "user.@example.com",
      "us..er@example.com",
      "user@.example.com",
      "user@example..com",
      "user@example.com..",
      "user@.",
      "user@-example.com",
      "user@example-.com",
      "us er@example.com",
      "user @example.com",
      "user@ example.com",
      "user@example.com ",
      "\"user@example.com",
      "user\"@example.com",
      "\"a\"b\"@example.com",
      "\"a\"b@example.com",
      "\"a\\\"@example.com",
      "a.\"b\"@example.com",
      "(comment)user@example.com",
      "user(comment)@example.com",
      "user@example.com(comment)",
      "user@example.com:25",
      "user@http://example.com",
      "user@example.com/path",
      "user@example.com?x",
      "$(touch /tmp/x)@example.com",
      "a;b@example.com",
      "a,b@example.com",
      "a:b@example.com",
      "a\\b@example.com",
      "a<b@example.com",
      "a>b@example.com",
      "[a]@example.com",
      "user\r\n@example.com",
      "\"us\r\ner\"@example.com",
      "user@example.com\r\nRCPT TO:<x@y>",
      std::string("us\0er@example.com", 17),
      std::string("user@exam\0ple.com", 17),
      std::string("\"us\0er\"@example.com", 19),
      "us\x7F"
      "er@example.com",
      "\"us\ter\"@example.com",
      "user@[192.0.2.1",
      "user@192.0.2.1]",
      "user@[]",
      "user@[192.0.2]",
      "user@[192.0.2.256]",
      "user@[192.0.2.01]",
      "user@[192.0.2.1.1]",
      "user@[192.0.2.1]:25",
      "user@[192.0.2.1]x",
      "user@[IPv6:]",
      "user@[IPv6:1:2:3]",
      "user@[IPv6:1::2::3]",
      "user@[IPv6:12345::]",
      "user@[IPv6:g::1]",
      "user@[IPv6:1:2:3:4:5:6:7:8:9]",
      "user@[IPv6:1:2:3:4:5:6:7::8]",
      "user@[IPv6:192.0.2.1::]",
      "user@[IPv6:fe80::1%eth0]",
      "user@[2001:db8::1]",
      "user@[tag:content]",
      "user@[IPv6::1]",
  };
  for (const auto& text : refused) EXPECT_EQ(error_of(text), AddressError::syntax) << text;
}

TEST(Address, EnforcesTheLimitsOfSmtp) {
  EXPECT_FALSE(error_of(times(64, "l") + "@example.com"));
  EXPECT_EQ(error_of(times(65, "l") + "@example.com"), AddressError::local_too_long);
  EXPECT_FALSE(error_of("\"" + times(62, " ") + "\"@example.com"));
  EXPECT_EQ(error_of("\"" + times(63, " ") + "\"@example.com"), AddressError::local_too_long);
  EXPECT_FALSE(error_of("u@" + times(63, "d") + ".com"));
  EXPECT_EQ(error_of("u@" + times(64, "d") + ".com"), AddressError::domain_too_long);
  const std::string longest = times(126, "d.") + "d";  // 253 octets
  EXPECT_EQ(error_of("u@" + longest + "dd"), AddressError::path_too_long);
  EXPECT_EQ(error_of("u@" + longest + ".ddd"), AddressError::domain_too_long);
  // A path of exactly 256 octets, brackets included: 1 + 1 + 252 + 2.
  EXPECT_FALSE(error_of("u@" + times(125, "d.") + "dd"));
  EXPECT_EQ(error_of("uu@" + times(125, "d.") + "dd"), AddressError::path_too_long);
}

TEST(Address, TakesUtf8OnlyWhereSmtputf8WasSaid) {
  EXPECT_EQ(error_of("j\xC3\xB6rg@example.com", false), AddressError::utf8_not_allowed);
  EXPECT_EQ(error_of("u@b\xC3\xBC"
                     "cher.example",
                     false),
            AddressError::utf8_not_allowed);
  EXPECT_EQ(error_of("\xFF@example.com", false), AddressError::utf8_not_allowed);
  for (const std::string text : {"j\xC3\xB6rg@example.com",
                                 "u@b\xC3\xBC"
                                 "cher.example",
                                 "\"j \xC3\xB6\"@example.com", "\xF0\x9F\x90\x8E@x.example",
                                 "u@b\xC3\xBC"
                                 "cher.xn--bcher-kva.example"}) {
    const auto address = Address::parse(text, true);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
    EXPECT_TRUE(address->needs_utf8());
  }
}

TEST(Address, RefusesBrokenUtf8AndSteeringCharacters) {
  const std::vector<std::string> refused = {
      "\xFF@x.example",
      "\xC3@x.example",
      "a\xC3",
      "\xC0\xAF@x.example",
      "\xE0\x80\xAF@x.example",
      "\xF0\x80\x80\xAF@x.example",
      "\xED\xA0\x80@x.example",
      "\xF4\x90\x80\x80@x.example",
      "\x80@x.example",
      "\xE2\x80\xAE"
      "a@x.example",
      "\xE2\x81\xA6"
      "a@x.example",
      "\xE2\x80\x8F@x.example",
      "\xC2\x85@x.example",
      "\xE2\x80\xA8@x.example",
      "\xEF\xBB\xBF"
      "a@x.example",
      "\"\xE2\x80\xAE\"@x.example",
      "u@\xC2\x9F.example",
      "u@a\xE3\x80\x82"
      "b.example",
      "u@a\xEF\xBC\x8E"
      "b",
      "u@a\xC2\xA0"
      "b",
  };
  for (const auto& text : refused)
    EXPECT_EQ(error_of(text, true), AddressError::utf8_invalid) << text;
}

TEST(Address, CountsAnInternationalDomainAsDnsWill) {
  EXPECT_FALSE(error_of("u@" + times(57, "\xC3\xBC") + ".example", true));
  EXPECT_EQ(error_of("u@" + times(58, "\xC3\xBC") + ".example", true),
            AddressError::domain_too_long);
  EXPECT_EQ(
      error_of("u@" + times(30, "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC.") + "example", true),
      AddressError::domain_too_long);
}

TEST(Address, BarePostmasterNeedsNoDomain) {
  for (const char* text : {"postmaster", "Postmaster", "POSTMASTER"}) {
    const auto address = Address::parse(text, false);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->to_string(), text);
    EXPECT_FALSE(address->is_null());
  }
}

TEST(Path, GivesTheAddressAndWhatFollows) {
  auto path = parse_path("<a@b.example> SIZE=10 BODY=8BITMIME", false);
  ASSERT_TRUE(path);
  EXPECT_EQ(path->address.to_string(), "a@b.example");
  EXPECT_EQ(path->rest, "SIZE=10 BODY=8BITMIME");
  path = parse_path("<\"a> b\"@c.example>", false);
  ASSERT_TRUE(path);
  EXPECT_EQ(path->address.local, "\"a> b\"");
  EXPECT_EQ(path->rest, "");
  ASSERT_TRUE(parse_path("  <a@b.example>  ", false));
}

TEST(Path, TheEmptyOneIsNull) {
  const auto path = parse_path("<> RET=HDRS", false);
  ASSERT_TRUE(path);
  EXPECT_TRUE(path->address.is_null());
  EXPECT_EQ(path->address.to_string(), "");
  EXPECT_EQ(path->rest, "RET=HDRS");
}

TEST(Path, CutsASourceRoute) {
  for (const char* text : {"<@one.example:a@b.example>", "<@one.example,@two.example:a@b.example>",
                           "<@[192.0.2.1]:a@b.example>"}) {
    const auto path = parse_path(text, false);
    ASSERT_TRUE(path) << text;
    EXPECT_EQ(path->address.to_string(), "a@b.example");
  }
}

TEST(Path, RefusesWhatIsNone) {
  for (const char* text :
       {"", "a@b.example", "<a@b.example", "a@b.example>", "<<a@b.example>>", "<a@b.example>x",
        "<a@b.example>SIZE=10", "<@one.example>", "<@one.example:>", "<@one.example,:a@b.example>",
        "<@one.example@two.example:a@b.example>", "<:a@b.example>", "< a@b.example>",
        "<a@b.example >", "<a>", "< >", "<a@b.example,c@d.example>", "<a@b.example:25>"}) {
    const auto path = parse_path(text, false);
    ASSERT_FALSE(path) << text;
    EXPECT_EQ(path.error(), AddressError::syntax) << text;
  }
}

TEST(Path, ReportsTheLimitThatWasBroken) {
  EXPECT_EQ(parse_path("<" + times(65, "l") + "@b.example>", false).error(),
            AddressError::local_too_long);
  EXPECT_EQ(parse_path("<l@" + times(64, "b") + ">", false).error(), AddressError::domain_too_long);
  EXPECT_FALSE(parse_path("<" + times(65, "l") + "@b.example>", false).error().message().empty());
}

TEST(Destination, IsTheDomainInLowerCaseWithoutTheFinalDot) {
  const auto destination = [](const char* text) {
    return destination_of(Address::parse(text, true).value(), "Mail.Example.ORG");
  };
  EXPECT_EQ(destination("u@Example.COM"), "example.com");
  EXPECT_EQ(destination("u@example.com."), "example.com");
  EXPECT_EQ(destination("u@[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_EQ(destination("u@[IPv6:2001:DB8::1]"), "[ipv6:2001:db8::1]");
  EXPECT_EQ(destination("postmaster"), "mail.example.org");
  EXPECT_EQ(destination("u@B\xC3\xBC"
                        "cher.Example"),
            "xn--bcher-kva.example");  // R52
}

TEST(Address, HasAnAsciiFormIfOnlyItsDomainNeedsOne_R51) {
  EXPECT_EQ(ascii_address({"Jos", "B\u00DCCHER.example"})->to_string(),
            "Jos@xn--bcher-kva.example");
  EXPECT_EQ(ascii_address({"\"a b\"", "X.Example"})->to_string(), "\"a b\"@X.Example");
  EXPECT_EQ(ascii_address({})->to_string(), "");
  EXPECT_FALSE(ascii_address({"jos\u00E9", "x.example"}));
  EXPECT_FALSE(ascii_address({"jos", "a\u2100b.example"}));
}

TEST(Address, RefusesADomainWithoutAnAsciiForm_I15) {
  EXPECT_EQ(error_of("u@a\u2100b.example", true), AddressError::domain_invalid);
  EXPECT_EQ(error_of("u@\u00FC.xn--zzzzzzzz.example", true), AddressError::domain_invalid);
  const auto kept = Address::parse("u@B\u00DCCHER.Example", true);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->domain, "B\u00DCCHER.Example");  // octets are never changed
}

}  // namespace
}  // namespace mansio
