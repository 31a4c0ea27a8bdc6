#include "settings/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "settings/pattern.h"

namespace mansio::settings {
namespace {

const char* const least =
    "[server]\n"
    "hostname = \"mail.example.org\"\n"
    "[spool]\n"
    "url = \"file:spool\"\n"
    "[[listener]]\n"
    "address = \"127.0.0.1:2525\"\n"
    "[route.\"*\"]\n"
    "next_hop = [\"127.0.0.1:2626\"]\n";

Settings parsed(const std::string& text) { return parse(text, "/etc/mansio/mansio.toml").settings; }

TEST(Load, TheLeastFileHasTheDefaults) {
  const Settings settings = parsed(least);
  EXPECT_EQ(settings.server.hostname, "mail.example.org");
  EXPECT_EQ(settings.spool.url, "file:/etc/mansio/spool");
  ASSERT_EQ(settings.listeners.size(), 1u);
  EXPECT_EQ(settings.listeners[0].protocol, "smtp");
  EXPECT_EQ(settings.listeners[0].address, (Endpoint{"127.0.0.1", 2525}));
  ASSERT_EQ(settings.routes.size(), 1u);
  EXPECT_EQ(settings.routes[0].next_hop[0], (Endpoint{"127.0.0.1", 2626}));
  EXPECT_EQ(settings.routes[0].channel, "smtp");
  EXPECT_EQ(settings.retry.min, std::chrono::minutes(15));
  EXPECT_EQ(settings.limits.message, 50u << 20);
  EXPECT_FALSE(settings.limits.connections_per_client_set);
  EXPECT_EQ(settings.admin.listen, "127.0.0.1:8025");
}

TEST(Load, ASmallMessageLimitNeedsNoOtherSetting) {
  const Settings settings = parsed(std::string(least) + "[limits]\nmessage = \"100KiB\"\n");
  EXPECT_EQ(settings.limits.message, 100u << 10);
}

TEST(Load, ReadsEveryKindOfValue) {
  const Settings settings = parsed(std::string(least) +
                                   "port = 2500\n"
                                   "[retry]\n"
                                   "intervals = [\"15m\", \"1h30m\"]\n"
                                   "jitter = 0\n"
                                   "[limits]\n"
                                   "message = \"10MiB\"\n"
                                   "header = 65536\n"
                                   "connections_per_client = 7\n"
                                   "[notify]\n"
                                   "return = \"full\"\n"
                                   "delay = [\"1h\", \"1d\"]\n"
                                   "connections = 2\n"
                                   "postmaster = \"pm@example.org\"\n"
                                   "double_bounce = true\n"
                                   "[history]\n"
                                   "keep = \"2d\"\n"
                                   "[channel.sink]\n"
                                   "type = \"discard\"\n"
                                   "[destination.\"Example.COM\"]\n"
                                   "connections = 3\n");
  EXPECT_EQ(settings.routes[0].port, 2500);
  EXPECT_EQ(settings.retry.intervals,
            (std::vector<Duration>{std::chrono::minutes(15), std::chrono::minutes(90)}));
  EXPECT_EQ(settings.retry.jitter, 0.0);
  EXPECT_EQ(settings.limits.message, 10u << 20);
  EXPECT_EQ(settings.limits.header, 65536u);
  EXPECT_TRUE(settings.limits.connections_per_client_set);
  EXPECT_EQ(settings.limits.connections_per_client, 7u);
  EXPECT_EQ(settings.notify.return_content, "full");
  EXPECT_EQ(settings.notify.delay,
            (std::vector<Duration>{std::chrono::hours(1), std::chrono::hours(24)}));
  EXPECT_EQ(settings.notify.connections, 2u);
  EXPECT_EQ(settings.notify.postmaster, "pm@example.org");
  EXPECT_TRUE(settings.notify.double_bounce);
  EXPECT_EQ(settings.history_keep, std::chrono::hours(48));
  EXPECT_EQ(settings.channels[0].type, "discard");
  EXPECT_EQ(settings.destinations[0].pattern, "example.com");
}

TEST(Load, NextHopsWithoutAPortGetTheRoutesPort) {
  const Settings settings = parsed(
      "[server]\nhostname = \"a\"\n[spool]\nurl = \"memory:\"\n[[listener]]\n"
      "address = \"[::1]:0\"\n[route.\"*\"]\nport = 587\n"
      "next_hop = [\"smtp.example.net\", \"192.0.2.1\", \"2001:db8::1\", \"[2001:db8::2]\", "
      "\"[2001:db8::3]:26\"]\n");
  const std::vector<Endpoint> expected = {{"smtp.example.net", 587},
                                          {"192.0.2.1", 587},
                                          {"2001:db8::1", 587},
                                          {"2001:db8::2", 587},
                                          {"2001:db8::3", 26}};
  EXPECT_EQ(settings.routes[0].next_hop, expected);
  EXPECT_EQ(settings.spool.url, "memory:");
}

TEST(Load, ProgramsOfOtherUsersNeedNoSecrets) {
  const std::string path = ::testing::TempDir() + "mansio-client.toml";
  std::ofstream(path) << "[server]\nhostname = \"mx.example\"\n[spool]\nurl = \"memory:\"\n"
                         "[[listener]]\naddress = \"/run/mansio/submit.sock\"\nmode = \"0666\"\n"
                         "[maildrop]\npath = \"drop\"\n"
                         "[route.\"*\"]\nnext_hop = [\"a.example\"]\ntls = \"required\"\n"
                         "auth.user = \"u\"\nauth.password = \"file:/not/readable\"\n";
  EXPECT_THROW(load(path), ConfigError);
  const Settings settings = load_for_clients(path);
  EXPECT_EQ(settings.maildrop.path, ::testing::TempDir() + "drop");
  EXPECT_EQ(settings.listeners.front().address.address, "/run/mansio/submit.sock");
  std::filesystem::remove(path);
}

TEST(Load, KeysOfLaterVersionsMayBeSetToOff) {
  EXPECT_NO_THROW(parsed(std::string(least) +
                         "[policy]\nmodules = []\nlua = \"\"\n"
                         "[destination.\"*\"]\nconnection_rate = \"\"\nrollup = false\n"
                         "[admin]\ntokens_file = \"\"\n"));
}

TEST(Patterns, AreComparedAsALabels_R52) {
  EXPECT_EQ(canonical_pattern("*.B\u00FCcher.Example"), "*.xn--bcher-kva.example");
  EXPECT_EQ(canonical_pattern("b\u00FCcher.example"), "xn--bcher-kva.example");
  EXPECT_EQ(canonical_pattern("*"), "*");
  EXPECT_EQ(canonical_pattern("*.Example"), "*.example");
  EXPECT_EQ(canonical_pattern("[IPv6:::1]"), "[ipv6:::1]");
  EXPECT_FALSE(valid_pattern(canonical_pattern("a\u2100b.example")));
}

TEST(Load, TheMostSpecificRouteHolds) {
  Settings settings;
  for (const char* pattern : {"*", "*.example.com", "*.b.example.com", "a.example.com"}) {
    settings.routes.emplace_back().pattern = pattern;
  }
  EXPECT_EQ(route_for(settings, "a.example.com")->pattern, "a.example.com");
  EXPECT_EQ(route_for(settings, "x.b.example.com")->pattern, "*.b.example.com");
  EXPECT_EQ(route_for(settings, "X.Example.Com")->pattern, "*.example.com");
  EXPECT_EQ(route_for(settings, "example.com")->pattern, "*");
  settings.routes.erase(settings.routes.begin());
  EXPECT_EQ(route_for(settings, "example.com"), nullptr);
}

TEST(Load, ARouteWithoutANextHopGoesToTheMxHosts) {
  const Settings settings = parsed(
      "[server]\nhostname = \"a\"\n[spool]\nurl = \"memory:\"\n[[listener]]\n"
      "address = \"[::1]:0\"\n[route.\"*\"]\n[dns]\nservers = [\"127.0.0.1@5353\", \"::1\"]\n"
      "prefer = \"ipv4\"\nallow_private = true\ntimeout = \"5s\"\n");
  EXPECT_TRUE(settings.routes[0].next_hop.empty());
  EXPECT_EQ(settings.dns.servers, (std::vector<std::string>{"127.0.0.1@5353", "::1"}));
  EXPECT_EQ(settings.dns.prefer, "ipv4");
  EXPECT_TRUE(settings.dns.allow_private);
  EXPECT_EQ(settings.dns.timeout, std::chrono::seconds(5));
}

const char* const of_senders =
    "[route.\"*\".sender.\"*@News.Example\"]\nnext_hop = [\"198.51.100.1\"]\n"
    "[route.\"*\".sender.\"*@*.example\"]\nnext_hop = [\"198.51.100.2\"]\n"
    "[route.\"*\".sender.\"Boss@news.example\"]\nnext_hop = [\"198.51.100.3\"]\n"
    "[route.\"*\".sender.\"<>\"]\nnext_hop = [\"198.51.100.4\"]\n"
    "[route.\"b.test\"]\n"
    "[route.\"b.test\".sender.\"*@*.example\"]\nnext_hop = [\"198.51.100.5\"]\n";

std::string hop_for(const Settings& settings, const std::string& destination,
                    const std::string& sender) {
  const Address path = sender.empty() ? Address{} : Address::parse(sender, true).value();
  const Route* route =
      route_for(settings, LaneKey{destination, binding_for(settings, destination, path)});
  return route->next_hop.empty() ? "" : route->next_hop[0].address;
}

TEST(Load, TheMostSpecificSenderInsideTheMostSpecificRouteHolds) {
  const Settings settings = parsed(std::string(least) + of_senders);
  EXPECT_EQ(hop_for(settings, "a.test", "x@news.example"), "198.51.100.1");
  EXPECT_EQ(hop_for(settings, "a.test", "X@NEWS.EXAMPLE"), "198.51.100.1");
  EXPECT_EQ(hop_for(settings, "a.test", "bOSS@news.example"), "198.51.100.3");
  EXPECT_EQ(hop_for(settings, "a.test", "x@other.example"), "198.51.100.2");
  EXPECT_EQ(hop_for(settings, "a.test", "x@example"), "127.0.0.1");
  EXPECT_EQ(hop_for(settings, "a.test", "x@b.org"), "127.0.0.1");
  EXPECT_EQ(hop_for(settings, "a.test", ""), "198.51.100.4");
  EXPECT_EQ(hop_for(settings, "b.test", "boss@news.example"), "198.51.100.5");
  EXPECT_EQ(hop_for(settings, "b.test", "x@b.org"), "");
  EXPECT_EQ(binding_for(settings, "a.test", Address{"x", "news.example"}), "sender:*@news.example");
  EXPECT_EQ(binding_for(settings, "a.test", Address{"x", "b.org"}), "default");
  EXPECT_EQ(route_for(settings, "a.test")->next_hop[0].address, "127.0.0.1");
}

TEST(Load, ATableForASenderAloneIsNoRouteForOthers) {
  const Settings settings =
      parsed(std::string(least) +
             "[route.\"c.test\".sender.\"boss@news.example\"]\nnext_hop = [\"198.51.100.6\"]\n" +
             "[route.\"*\".sender.\"*@news.example\"]\nnext_hop = [\"198.51.100.7\"]\n" +
             "[route.\"d.test\"]\n" +
             "[route.\"d.test\".sender.\"boss@news.example\"]\nnext_hop = [\"198.51.100.8\"]\n" +
             "[route.\"e.test\".sender.\"boss@news.example\"]\nnext_hop = [\"198.51.100.9\"]\n" +
             "[route.\"e.test\"]\n");
  EXPECT_EQ(hop_for(settings, "c.test", "boss@news.example"), "198.51.100.6");
  EXPECT_EQ(hop_for(settings, "c.test", "x@news.example"), "198.51.100.7");
  EXPECT_EQ(hop_for(settings, "c.test", "x@b.org"), "127.0.0.1");
  EXPECT_EQ(route_for(settings, "c.test")->pattern, "*");
  EXPECT_EQ(hop_for(settings, "d.test", "boss@news.example"), "198.51.100.8");
  EXPECT_EQ(hop_for(settings, "d.test", "x@news.example"), "");
  EXPECT_EQ(hop_for(settings, "e.test", "x@news.example"), "");
}

TEST(Load, ALaneWhoseSenderTableIsGoneTakesTheRouteForAll) {
  const Settings before = parsed(std::string(least) + of_senders);
  const LaneKey lane{"a.test", binding_for(before, "a.test", Address{"x", "news.example"})};
  const Settings after = parsed(least);
  EXPECT_EQ(route_for(before, lane)->next_hop[0].address, "198.51.100.1");
  EXPECT_EQ(route_for(after, lane)->next_hop[0].address, "127.0.0.1");
  EXPECT_EQ(route_for(after, LaneKey{"a.test", "notices"})->next_hop[0].address, "127.0.0.1");
  EXPECT_EQ(route_for(before, LaneKey{"a.test", "notices"})->next_hop[0].address, "198.51.100.4");
  EXPECT_EQ(binding_for(Settings{}, "a.test", Address{}), "default");
  EXPECT_EQ(route_for(Settings{}, lane), nullptr);
}

TEST(Load, EachValueOfADestinationComesFromTheMostSpecificTableThatHasIt) {
  Settings settings;
  settings.destinations = {{"*", 5, 100, std::nullopt}, {"example.com", 7, std::nullopt, 50}};
  const Destination known = destination_settings(settings, "Example.com");
  EXPECT_EQ(known.connections, 7u);
  EXPECT_EQ(known.messages_per_connection, 100u);
  EXPECT_EQ(known.recipients_per_transaction, 50u);
  const Destination other = destination_settings(Settings{}, "example.net");
  EXPECT_EQ(other.connections, 32u);
  EXPECT_EQ(other.messages_per_connection, 0u);
  EXPECT_EQ(other.recipients_per_transaction, 100u);
}

TEST(Load, AChannelOfTypeHoldIsTheQueuesOwn) {
  const Settings settings =
      parsed(std::string(least) +
             "[route.\"a.b\"]\nchannel = \"later\"\n[channel.later]\ntype = \"hold\"\n");
  EXPECT_EQ(route_for(settings, "a.b")->channel, "hold");
}

// --- what is refused ------------------------------------------------------------------------

struct Bad {
  const char* name;
  std::string text;  ///< appended to the least file, whose last line is 8 (in the route's table)
  unsigned line;
  const char* key;
  const char* found;
  const char* expected;
};

class LoadRefuses : public testing::TestWithParam<Bad> {};

std::string test_name(const testing::TestParamInfo<Bad>& tested) { return tested.param.name; }

TEST_P(LoadRefuses, WithFileLineKeyAndWhatWasExpected) {
  const Bad& bad = GetParam();
  try {
    parsed(std::string(least) + bad.text);
    FAIL() << "accepted: " << bad.text;
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.file, "/etc/mansio/mansio.toml");
    EXPECT_EQ(error.line, bad.line) << error.what();
    EXPECT_EQ(error.key, bad.key) << error.what();
    EXPECT_NE(error.message.find(bad.found), std::string::npos) << error.what();
    EXPECT_NE(error.message.find(bad.expected), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("/etc/mansio/mansio.toml:"), 0u) << error.what();
  }
}

const char* const later = "not available in this version";

INSTANTIATE_TEST_SUITE_P(
    Values, LoadRefuses,
    testing::Values(
        Bad{"Duration", "[retry]\nmin = \"15 bananas\"\n", 10, "retry.min", "15 bananas",
            "a duration such as"},
        Bad{"DurationAsNumber", "[retry]\nmin = 900\n", 10, "retry.min", "found 900", "duration"},
        Bad{"DurationZero", "[retry]\nmin = \"0s\"\n", 10, "retry.min", "0s", "at least 1ms"},
        Bad{"Size", "[limits]\nmessage = \"10 apples\"\n", 10, "limits.message", "10 apples",
            "a size such as"},
        Bad{"SizeNegative", "[limits]\nmessage = -1\n", 10, "limits.message", "-1", "1KiB"},
        Bad{"Integer", "[limits]\nrecipients = \"many\"\n", 10, "limits.recipients", "\"many\"",
            "a whole number, at least 1"},
        Bad{"IntegerNegative", "[retry]\ntries_max = -3\n", 10, "retry.tries_max", "-3",
            "a whole number"},
        Bad{"IntegerTooLarge", "[retry]\ntries_max = 4294967296\n", 10, "retry.tries_max",
            "4294967296", "a whole number"},
        Bad{"Number", "[retry]\nfactor = 0.5\n", 10, "retry.factor", "0.5", "1 to 100"},
        Bad{"NotANumber", "[retry]\njitter = nan\n", 10, "retry.jitter", "nan", "0 to 0.5"},
        Bad{"Boolean", "[spool.x]\n", 9, "spool.x", "unknown key", "describe spool"},
        Bad{"BooleanAsText", "tls_verify = \"yes\"\n", 9, "route.\"*\".tls_verify", "\"yes\"",
            "true or false"},
        Bad{"Choice", "tls = \"maybe\"\n", 9, "route.\"*\".tls", "\"maybe\"",
            "\"none\", \"opportunistic\" or \"required\""},
        Bad{"PortZero", "port = 0\n", 9, "route.\"*\".port", "found 0", "1 to 65535"},
        Bad{"PortTooLarge", "port = 65536\n", 9, "route.\"*\".port", "65536", "1 to 65535"},
        Bad{"List", "[retry]\nintervals = \"15m\"\n", 10, "retry.intervals", "15m",
            "a list of durations"},
        Bad{"ListItem", "[retry]\nintervals = [\"15m\",\n\"x\"]\n", 11, "retry.intervals", "\"x\"",
            "durations"},
        Bad{"ControlOctets", "[admin]\nsocket = \"/run/\\u0007\"\n", 10, "admin.socket", "\\u0007",
            "a string"},
        Bad{"Date", "[log]\nlevel = 2026-01-01\n", 10, "log.level", "a date", "\"info\""}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Names, LoadRefuses,
    testing::Values(
        Bad{"Table", "[limit]\n", 9, "limit", "unknown", "did you mean \"limits\"?"},
        Bad{"Key", "[limits]\nmesage = \"1MiB\"\n", 10, "limits.mesage", "unknown key",
            "did you mean \"message\"?"},
        Bad{"KeyFarFromAll", "[limits]\nzzzzzzzzz = 1\n", 10, "limits.zzzzzzzzz", "unknown key",
            "describe limits"},
        Bad{"KeyOfANestedTable", "auth = { usr = \"x\" }\n", 9, "route.\"*\".auth.usr", "unknown",
            "did you mean \"auth.user\"?"},
        Bad{"TableAsValue", "[retry]\n[retry.min]\n", 10, "retry.min", "a table", "a duration"},
        Bad{"ValueAsTable", "auth = true\n", 9, "route.\"*\".auth", "found true", "a table"},
        Bad{"ListenerAsTable", "[listener2]\n", 9, "listener2", "unknown", "\"listener\""},
        Bad{"PatternWithoutQuotes", "[route.example.com]\nnext_hop = [\"a\"]\n", 9,
            "route.\"example\".com", "a table in a table", "[route.\"example.com\"]"},
        Bad{"PatternTwice",
            "[route.\"a.com\"]\nnext_hop = [\"a\"]\n[route.\"A.com\"]\nnext_hop = [\"a\"]\n", 9,
            "route.\"a.com\"", "twice", "once"},
        Bad{"PatternInvalid", "[destination.\"a.*.com\"]\n", 9, "destination.\"a.*.com\"",
            "a.*.com", "\"*.\" and a domain"},
        Bad{"ChannelName", "[channel.smtp]\ntype = \"lmtp\"\n", 9, "channel.smtp", "always there",
            "another"},
        Bad{"Syntax", "port = = 3\n", 9, "", "not TOML", "expected"},
        Bad{"KeyTwice", "next_hop = [\"b\"]\n", 9, "", "not TOML", "next_hop"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Later, LoadRefuses,
    testing::Values(
        Bad{"Binding", "[binding.b1]\nehlo = \"a.b\"\n", 9, "binding.b1", later, "absent"},
        Bad{"BindingGroup", "[binding_group.p]\n", 9, "binding_group.p", later, "absent"},
        Bad{"Sdk", "[sdk]\nsocket = \"/run/x\"\n", 10, "sdk.socket", later, "absent"},
        Bad{"Policy", "[policy]\nlua = \"x.lua\"\n", 10, "policy.lua", later, "absent"},
        Bad{"Tenant", "[tenant.\"x\"]\n", 9, "tenant.x", later, "absent"},
        Bad{"DelayNotices", "[notify]\ndelay = [\"4h\", \"0s\"]\n", 10, "notify.delay", "\"0s\"",
            "duration"},
        Bad{"Postmaster", "[notify]\npostmaster = \"a b\"\n", 10, "notify.postmaster", "\"a b\"",
            "an address"},
        Bad{"DoubleBounce", "[notify]\ndouble_bounce = true\n", 10, "notify.double_bounce",
            "without notify.postmaster", "an address there"},
        Bad{"ConnectionRate", "[destination.\"x\"]\nconnection_rate = \"1/s\"\n", 10,
            "destination.\"x\".connection_rate", later, "absent"},
        Bad{"MessageRate", "[destination.\"x\"]\nmessage_rate = \"1/s\"\n", 10,
            "destination.\"x\".message_rate", later, "absent"},
        Bad{"Rollup", "[destination.\"x\"]\nrollup = true\n", 10, "destination.\"x\".rollup", later,
            "absent"},
        Bad{"ProgramChannel", "[channel.a]\ntype = \"program\"\n", 10, "channel.a.type", later,
            "\"lmtp\""},
        Bad{"ChannelCommand", "[channel.a]\ntype = \"lmtp\"\ncommand = [\"x\"]\n", 11,
            "channel.a.command", later, "absent"},
        Bad{"HttpListener", "[[listener]]\nprotocol = \"http\"\naddress = \"192.0.2.1:8025\"\n", 11,
            "listener[1].address", later, "a loopback address or a Unix socket"},
        Bad{"TokensFile", "[admin]\ntokens_file = \"x\"\n", 10, "admin.tokens_file", later,
            "absent"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Addresses, LoadRefuses,
    testing::Values(Bad{"ListenOnAName", "[[listener]]\naddress = \"localhost:25\"\n", 10,
                        "listener[1].address", "localhost:25", "an IP address and port"},
                    Bad{"ListenWithoutPort", "[[listener]]\naddress = \"127.0.0.1\"\n", 10,
                        "listener[1].address", "127.0.0.1", "an IP address and port"},
                    Bad{"ListenPortTooLarge", "[[listener]]\naddress = \"127.0.0.1:99999\"\n", 10,
                        "listener[1].address", "99999", "an IP address and port"},
                    Bad{"ListenMissing", "[[listener]]\n", 9, "listener[1].address", "found none",
                        "127.0.0.1:2525"},
                    Bad{"Network",
                        "[[listener]]\naddress = \"127.0.0.1:1\"\nrelay_from = [\"10.0.0.0/33\"]\n",
                        11, "listener[1].relay_from", "10.0.0.0/33", "a network such as"},
                    Bad{"NetworkWithHostBits",
                        "[[listener]]\naddress = \"127.0.0.1:1\"\nrelay_from = [\"10.1.2.3/8\"]\n",
                        11, "listener[1].relay_from", "10.1.2.3/8", "a network such as"},
                    Bad{"NextHop", "[route.\"x\"]\nnext_hop = [\"a b\"]\n", 10,
                        "route.\"x\".next_hop", "a b", "a host such as"},
                    Bad{"NextHopPortZero", "[route.\"x\"]\nnext_hop = [\"a:0\"]\n", 10,
                        "route.\"x\".next_hop", "a:0", "a host such as"},
                    Bad{"NextHopMistypedAddress", "[route.\"x\"]\nnext_hop = [\"192.0.2.300\"]\n",
                        10, "route.\"x\".next_hop", "192.0.2.300", "a host such as"},
                    Bad{"AdminForAll", "[admin]\nlisten = \"0.0.0.0:8025\"\n", 10, "admin.listen",
                        "0.0.0.0:8025", "loopback"}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Together, LoadRefuses,
    testing::Values(
        Bad{"MinOverMax", "[retry]\nmin = \"5h\"\n", 10, "retry.min", "5h", "at most max"},
        Bad{"MaxOverLifetime", "[retry]\nmax = \"5d\"\n", 10, "retry.max", "5d",
            "less than lifetime"},
        Bad{"IntervalOverLifetime", "[retry]\nintervals = [\"1h\", \"6d\"]\n", 10,
            "retry.intervals", "6d", "less than lifetime"},
        Bad{"IntervalsBesideMin", "[retry]\nmin = \"1m\"\nintervals = [\"1h\"]\n", 10, "retry.min",
            "beside intervals", "one of the two"},
        Bad{"Reserve", "[server2]\n", 9, "server2", "unknown", "\"server\""},
        Bad{"ErrorsHard", "[limits]\nerrors_hard = 3\n", 10, "limits.errors_hard", "found 3",
            "at least errors_soft"},
        Bad{"IdleUnderStress", "[limits]\nidle = \"10s\"\n", 9, "limits.idle_under_stress", "30s",
            "at most idle"},
        Bad{"ListenersDistinct", "[[listener]]\naddress = \"127.0.0.1:2525\"\n", 10,
            "listener[1].address", "127.0.0.1:2525", "of its own"},
        Bad{"AdminDistinct", "[admin]\nlisten = \"127.0.0.1:2525\"\n", 10, "admin.listen",
            "127.0.0.1:2525", "of its own"},
        Bad{"TlsWithoutCertificate",
            "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"starttls\"\nkey = \"/dev/null\"\n", 9,
            "listener[1].certificate", "found none", "PEM file"},
        Bad{"CertificateMissing",
            "[[listener]]\naddress = \"127.0.0.1:1\"\ntls = \"implicit\"\n"
            "certificate = \"no/such.pem\"\n",
            9, "listener[1].key", "found none", "PEM file"},
        Bad{"CertificateWithoutTls",
            "[[listener]]\naddress = \"127.0.0.1:1\"\ncertificate = \"x\"\n", 11,
            "listener[1].certificate", "tls = \"none\"", "starttls"},
        Bad{"RelayFromForHttp",
            "[[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:1\"\n"
            "relay_from = [\"127.0.0.0/8\"]\n",
            12, "listener[1].relay_from", "\"http\"", "absent"},
        Bad{"TlsForHttp",
            "[[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:1\"\ntls = \"implicit\"\n",
            12, "listener[1].tls", "no effect", "absent"},
        Bad{"BareNewlineForHttp",
            "[[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:1\"\n"
            "bare_newline = \"normalize\"\n",
            12, "listener[1].bare_newline", "no effect", "absent"},
        Bad{"Channel", "channel = \"pigeon\"\n", 9, "route.\"*\".channel", "pigeon",
            "the name of a [channel.NAME]"},
        Bad{"NextHopForDiscard", "channel = \"bin\"\n[channel.bin]\ntype = \"discard\"\n", 8,
            "route.\"*\".next_hop", "discards", "expected none"},
        Bad{"VerifyWithoutTls", "tls_verify = true\n", 9, "route.\"*\".tls_verify", "opportunistic",
            "tls = \"required\""},
        Bad{"PasswordInTheClear", "auth = { user = \"u\", password = \"p\" }\n", 9,
            "route.\"*\".auth", "in the clear", "tls = \"required\""},
        Bad{"PasswordFileMissing",
            "tls = \"required\"\nauth = { user = \"u\", password = \"file:no/such\" }\n", 10,
            "route.\"*\".auth.password", "/etc/mansio/no/such", "first line is the password"},
        Bad{"PasswordVariableMissing",
            "tls = \"required\"\nauth = { user = \"u\", password = \"env:MANSIO_NO_SUCH\" }\n", 10,
            "route.\"*\".auth.password", "MANSIO_NO_SUCH", "environment variable"},
        Bad{"PasswordForWhomeverTheDnsNames",
            "[route.\"x\"]\ntls = \"required\"\nauth = { user = \"u\", password = \"p\" }\n", 11,
            "route.\"x\".auth", "without next_hop", "a next_hop"},
        Bad{"LmtpToMxHosts", "[route.\"x\"]\nchannel = \"lmtp\"\n", 9, "route.\"x\".next_hop",
            "found none", "hand the mail to"},
        Bad{"BouncesWithoutSecret", "[bounces]\ndomain = \"b.example\"\nverp = true\n", 9,
            "bounces.secret", "found none", "file:PATH"},
        Bad{"BouncesShortSecret", "[bounces]\ndomain = \"b.example\"\nsecret = \"short\"\n", 11,
            "bounces.secret", "found 5 octets", "at least 16"},
        Bad{"BouncesSecretMissing",
            "[bounces]\ndomain = \"b.example\"\nsecret = \"file:no/such\"\n", 11, "bounces.secret",
            "/etc/mansio/no/such", "first line is the secret"},
        Bad{"VerpWithoutDomain", "[bounces]\nverp = true\n", 10, "bounces.verp", "without a domain",
            "bounces.domain"},
        Bad{"EnvelopeIdWithoutDomain", "[bounces]\nenvelope_id = true\n", 10, "bounces.envelope_id",
            "without a domain", "bounces.domain"},
        Bad{"BouncesDomain", "[bounces]\ndomain = \"a b\"\n", 10, "bounces.domain", "a b",
            "a domain such as"},
        Bad{"DnsServerName", "[dns]\nservers = [\"ns.example\"]\n", 10, "dns.servers",
            "\"ns.example\"", "an IP address"},
        Bad{"DnsServerPort", "[dns]\nservers = [\"127.0.0.1@0\"]\n", 10, "dns.servers",
            "127.0.0.1@0", "127.0.0.1@5353"},
        Bad{"TrustAnchorMissing", "[dns]\ntrust_anchor = \"no/such.key\"\n", 10, "dns.trust_anchor",
            "no/such.key", "can be read"},
        Bad{"SenderPattern", "[route.\"*\".sender.\"example.com\"]\n", 9,
            "route.\"*\".sender.\"example.com\"", "example.com", "\"*@\" and a domain"},
        Bad{"SenderOfAll", "[route.\"*\".sender.\"*@*\"]\n", 9, "route.\"*\".sender.\"*@*\"", "*@*",
            "an address"},
        Bad{"SenderTwice",
            "[route.\"*\".sender.\"a@b.c\"]\nport = 1\n[route.\"*\".sender.\"A@B.c\"]\nport = 1\n",
            9, "route.\"*\".sender.\"a@b.c\"", "twice", "once"},
        Bad{"SenderOfASender", "[route.\"*\".sender.\"a@b.c\".sender.\"d@e.f\"]\n", 9,
            "route.\"*\".sender.\"a@b.c\".sender", "inside a table", "in the route alone"},
        Bad{"SenderKey", "[route.\"*\".sender.\"a@b.c\"]\nprot = 1\n", 10,
            "route.\"*\".sender.\"a@b.c\".prot", "unknown key", "did you mean \"port\"?"},
        Bad{"SenderAsValue", "sender = \"a@b.c\"\n", 9, "route.\"*\".sender", "\"a@b.c\"",
            "tables"},
        Bad{"PasswordWithoutUser", "tls = \"required\"\nauth = { password = \"p\" }\n", 10,
            "route.\"*\".auth.user", "found none", "log in as"}),
    test_name);

std::string refusal(const std::string& text) {
  try {
    parsed(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Load, RefusesLmtpOnPort25_R81) {
  const std::string said = refusal(
      "[server]\nhostname = \"a\"\n[spool]\nurl = \"memory:\"\n[route.\"*\"]\n"
      "[[listener]]\nprotocol = \"lmtp\"\naddress = \"127.0.0.1:25\"\n");
  EXPECT_NE(said.find("found port 25"), std::string::npos) << said;
}

TEST(Load, TakesHttpListenersOnLoopbackAndUnixSockets) {
  const std::string http = "[[listener]]\nprotocol = \"http\"\naddress = ";
  const Settings settings = parsed(std::string(least) + http + "\"127.0.0.1:8080\"\n" + http +
                                   "\"[::1]:0\"\n" + http + "\"/run/mansio/http.sock\"\n");
  ASSERT_EQ(settings.listeners.size(), 4u);
  EXPECT_EQ(settings.listeners[1].protocol, "http");
}

TEST(Load, NamesWhatTheLeastFileLacks) {
  EXPECT_EQ(refusal(""),
            "/etc/mansio/mansio.toml: server.hostname: found none; expected one such as "
            "\"mail.example.org\"");
  const std::string needed = "[server]\nhostname = \"a\"\n[spool]\nurl = \"memory:\"\n";
  EXPECT_EQ(
      refusal(needed),
      "/etc/mansio/mansio.toml: listener: found none; expected at least one [[listener]] with "
      "an address");
  EXPECT_EQ(refusal(needed + "[[listener]]\naddress = \"127.0.0.1:1\"\n"),
            "/etc/mansio/mansio.toml: route: found none; expected at least one, such as "
            "[route.\"*\"]");
  EXPECT_NE(refusal("[server]\nhostname = \"a\"\n[spool]\nurl = \"postgresql://x\"\n[[listener]]\n"
                    "address = \"127.0.0.1:1\"\n[route.\"*\"]\nnext_hop = [\"a\"]\n")
                .find("mansio.toml:4: spool.url: found \"postgresql://x\", which is not available"),
            std::string::npos);
  EXPECT_NE(refusal("[server]\nhostname = \"a b\"\n").find(":2: server.hostname: found \"a b\""),
            std::string::npos);
  EXPECT_NE(refusal("[[server]]\n").find(":1: server: found a list of tables; expected a table"),
            std::string::npos);
  EXPECT_NE(refusal("[listener]\n").find(":1: listener: found a table; expected tables"),
            std::string::npos);
  EXPECT_NE(refusal("[route]\nnext_hop = [\"a\"]\n").find(":2: route.next_hop: found a list"),
            std::string::npos);
}

TEST(Load, TellsAllProblemsInTheOrderOfLines) {
  try {
    parsed("[limits]\nhops = 0\nidle = 3\n[retry]\nmin = 1\n");
    FAIL();
  } catch (const ConfigError& error) {
    ASSERT_EQ(error.problems.size(), 5u);  // and hostname and url
    EXPECT_EQ(error.problems[0].key, "limits.hops");
    EXPECT_EQ(error.problems[1].key, "limits.idle");
    EXPECT_EQ(error.problems[2].key, "retry.min");
    EXPECT_EQ(error.problems[3].line, 0u);
  }
}

TEST(Load, AFileThatIsNotThereIsAConfigError) {
  EXPECT_THROW(load("/nonexistent/mansio.toml"), ConfigError);
  EXPECT_THROW(load("/"), ConfigError);
}

TEST(Load, ReadsSecretsFromFilesAndTheEnvironmentAndNeverEchoesThem) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("mansio_load_test_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  std::ofstream(folder / "password") << "geheim\nsecond line\n";
  ::setenv("MANSIO_LOAD_TEST_PASSWORD", "leise", 1);
  const std::string text =
      std::string(least) +
      "tls = \"required\"\n"
      "auth = { user = \"u\", password = \"file:password\" }\n"
      "[route.\"a.com\"]\nnext_hop = [\"x\"]\ntls = \"required\"\n"
      "auth = { user = \"v\", password = \"env:MANSIO_LOAD_TEST_PASSWORD\" }\n";
  std::ofstream(folder / "mansio.toml") << text;
  const Settings settings = load((folder / "mansio.toml").string());
  EXPECT_EQ(route_for(settings, "b.com")->auth->password, "geheim");
  EXPECT_EQ(route_for(settings, "b.com")->auth->password_from,
            "file:" + (folder / "password").string());
  EXPECT_EQ(route_for(settings, "a.com")->auth->password, "leise");
  EXPECT_EQ(route_for(settings, "a.com")->auth->password_from, "env:MANSIO_LOAD_TEST_PASSWORD");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(
      refusal(std::string(least) + "auth = { user = \"u\", password = 12345 }\n").find("12345"),
      std::string::npos);
}

TEST(Load, ReadsTheSecretOfBounces) {
  ::setenv("MANSIO_LOAD_TEST_SECRET", "0123456789abcdef", 1);
  const Settings settings =
      parse(std::string(least) +
                "[bounces]\ndomain = \"Back.Example\"\nverp = true\nenvelope_id = true\n"
                "secret = \"env:MANSIO_LOAD_TEST_SECRET\"\n",
            "/etc/mansio/mansio.toml")
          .settings;
  EXPECT_EQ(settings.bounces.domain, "back.example");
  EXPECT_TRUE(settings.bounces.verp);
  EXPECT_TRUE(settings.bounces.envelope_id);
  EXPECT_EQ(settings.bounces.secret, "0123456789abcdef");
  EXPECT_EQ(settings.bounces.secret_from, "env:MANSIO_LOAD_TEST_SECRET");
}

}  // namespace
}  // namespace mansio::settings
