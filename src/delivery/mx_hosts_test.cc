// The pure rules: answers in, hosts or the reason why there are none out.
#include "delivery/mx_hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace mansio::delivery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Ourselves us() {
  Ourselves ourselves;
  ourselves.hostname = "out.example";
  ourselves.listeners = {{"203.0.113.7", 25}, {"2001:db8:7::7", 25}};
  return ourselves;
}

dns::MxAnswer mx(std::vector<dns::MxRecord> records) {
  dns::MxAnswer answer;
  answer.status = dns::Status::found;
  answer.records = std::move(records);
  return answer;
}

dns::MxAnswer mx_status(dns::Status status) {
  dns::MxAnswer answer;
  answer.status = status;
  answer.why = "SERVFAIL";
  return answer;
}

MxChoice choose(const dns::MxAnswer& answer, std::uint64_t seed = 1) {
  SeededRandom random(seed);
  return choose_mx("b.example", answer, us(), random);
}

std::vector<std::string> names(const MxChoice& choice) {
  std::vector<std::string> out;
  for (const MxHost& host : choice.hosts) out.push_back(host.name);
  return out;
}

dns::AddressAnswer addresses(std::vector<std::string> list) {
  dns::AddressAnswer answer;
  answer.status = list.empty() ? dns::Status::no_data : dns::Status::found;
  answer.addresses = std::move(list);
  return answer;
}

dns::AddressAnswer address_status(dns::Status status) {
  dns::AddressAnswer answer;
  answer.status = status;
  answer.why = "SERVFAIL";
  return answer;
}

HostAnswers host(const std::string& name, std::uint16_t preference, std::vector<std::string> v4,
                 std::vector<std::string> v6 = {}) {
  HostAnswers answers;
  answers.host = {name, preference};
  answers.v4 = addresses(std::move(v4));
  answers.v6 = addresses(std::move(v6));
  return answers;
}

AddressChoice pick(const std::vector<HostAnswers>& answers, AddressRules rules = {},
                   const std::string& how = "mx") {
  return choose_addresses("b.example", how, answers, rules, us());
}

std::vector<std::string> endpoints(const AddressChoice& choice) {
  std::vector<std::string> out;
  for (const RouteHost& chosen : choice.hosts) out.push_back(chosen.endpoint.address);
  return out;
}

void expect_failure(const std::optional<Disposition>& failure, Outcome outcome, std::uint16_t code,
                    EnhancedCode enhanced, const std::string& text) {
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->outcome, outcome);
  EXPECT_EQ(failure->reply.code, code);
  EXPECT_EQ(failure->reply.enhanced, enhanced);
  EXPECT_THAT(failure->reply.text, HasSubstr(text));
  EXPECT_EQ(failure->stage, Stage::route);
}

// ---- MX records -------------------------------------------------------------------------------

TEST(MxHosts, R29_hosts_stand_in_the_order_of_their_preference) {
  const MxChoice choice =
      choose(mx({{30, "c.b.example"}, {10, "A.b.example"}, {20, "b.b.example"}}));
  EXPECT_FALSE(choice.failure);
  EXPECT_EQ(choice.how, "mx");
  EXPECT_THAT(names(choice), ElementsAre("a.b.example", "b.b.example", "c.b.example"));
  EXPECT_EQ(choice.hosts[1].preference, 20);
}

TEST(MxHosts, R29_hosts_of_equal_preference_are_shuffled) {
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto order = names(
        choose(mx({{10, "a.x"}, {10, "b.x"}, {10, "c.x"}, {5, "first.x"}, {20, "last.x"}}), seed));
    ASSERT_EQ(order.size(), 5u);
    EXPECT_EQ(order.front(), "first.x");
    EXPECT_EQ(order.back(), "last.x");
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6u);
}

TEST(MxHosts, R30_no_MX_record_makes_the_domain_its_own_host) {
  const MxChoice choice = choose(mx_status(dns::Status::no_data));
  EXPECT_FALSE(choice.failure);
  EXPECT_EQ(choice.how, "implicit mx");
  EXPECT_THAT(names(choice), ElementsAre("b.example"));
  EXPECT_FALSE(choice.hosts[0].preference);
}

TEST(MxHosts, R30_MX_records_of_no_use_never_lead_to_the_domain_itself) {
  const MxChoice choice = choose(mx({{10, "192.0.2.1"}, {20, "bad_\\032name"}}));
  EXPECT_THAT(names(choice), IsEmpty());
  expect_failure(choice.failure, Outcome::failed, 550, {5, 4, 4}, "names a mail host");
  // Records that nobody could read: MX records all the same.
  expect_failure(choose(mx({})).failure, Outcome::failed, 550, {5, 4, 4}, "names a mail host");
}

TEST(MxHosts, R31_a_domain_that_does_not_exist_fails) {
  expect_failure(choose(mx_status(dns::Status::no_domain)).failure, Outcome::failed, 550, {5, 1, 2},
                 "b.example does not exist");
}

TEST(MxHosts, R31_a_temporary_error_defers_and_counts_no_try) {
  const MxChoice choice = choose(mx_status(dns::Status::temporary));
  expect_failure(choice.failure, Outcome::deferred, 451, {4, 4, 3}, "MX records of b.example");
  EXPECT_THAT(choice.failure->reply.text, HasSubstr("SERVFAIL"));
  EXPECT_FALSE(choice.failure->counts_as_try);
  EXPECT_EQ(choice.failure->cause, Cause::dns);
}

TEST(MxHosts, R40_a_null_MX_fails_without_an_attempt) {
  expect_failure(choose(mx({{0, ""}})).failure, Outcome::failed, 556, {5, 1, 10}, "null MX");
  expect_failure(choose(mx({{10, ""}})).failure, Outcome::failed, 556, {5, 1, 10}, "null MX");
}

TEST(MxHosts, I30_a_null_MX_beside_others_is_left_out) {
  const MxChoice choice = choose(mx({{0, ""}, {10, "a.x"}}));
  EXPECT_THAT(names(choice), ElementsAre("a.x"));
  EXPECT_THAT(choice.left_out, ElementsAre(HasSubstr("null MX")));
}

TEST(MxHosts, I30_names_that_are_no_hosts_are_left_out_and_named) {
  const std::string long_label(64, 'a');
  const MxChoice choice = choose(mx({{1, "192.0.2.1"},
                                     {2, "2001:db8::1"},
                                     {3, "a b.x"},
                                     {4, "a\\000b.x"},
                                     {5, long_label + ".x"},
                                     {6, "-a.x"},
                                     {7, "good.x"},
                                     {8, "\x1b[31m.x"}}));
  EXPECT_THAT(names(choice), ElementsAre("good.x"));
  EXPECT_EQ(choice.left_out.size(), 7u);
  for (const std::string& line : choice.left_out) EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_THAT(choice.left_out[0], HasSubstr("an IP address"));
}

TEST(MxHosts, I30_five_hundred_MX_records_are_bounded) {
  std::vector<dns::MxRecord> records;
  for (std::uint16_t i = 0; i < 500; ++i) {
    records.push_back({static_cast<std::uint16_t>(500 - i), "h" + std::to_string(i) + ".x"});
  }
  const MxChoice choice = choose(mx(std::move(records)));
  EXPECT_EQ(choice.hosts.size(), mx_hosts_max);
  EXPECT_EQ(choice.hosts[0].name, "h499.x");
}

TEST(MxHosts, TheSameHostTwiceIsOneHost) {
  EXPECT_THAT(names(choose(mx({{10, "a.x"}, {20, "A.X"}, {30, "b.x"}}))),
              ElementsAre("a.x", "b.x"));
}

// ---- mail that would come back ----------------------------------------------------------------

TEST(MxHosts, R32_our_own_name_ends_the_list_with_its_preference) {
  const MxChoice choice =
      choose(mx({{10, "a.x"}, {20, "OUT.example"}, {20, "same.x"}, {30, "worse.x"}}));
  EXPECT_THAT(names(choice), ElementsAre("a.x"));
  EXPECT_THAT(choice.left_out, UnorderedElementsAre(HasSubstr("this host itself"),
                                                    HasSubstr("same.x"), HasSubstr("worse.x")));
}

TEST(MxHosts, R32_none_better_than_ourselves_is_a_loop) {
  const MxChoice choice = choose(mx({{10, "out.example"}, {20, "b.x"}}));
  expect_failure(choice.failure, Outcome::failed, 554, {5, 4, 6}, "loops back");
}

TEST(MxHosts, R32_one_of_our_addresses_ends_the_list_too) {
  const std::vector<HostAnswers> hosts = {
      host("a.x", 10, {"198.51.100.1"}), host("hidden.x", 20, {"203.0.113.7"}),
      host("same.x", 20, {"198.51.100.2"}), host("worse.x", 30, {"198.51.100.3"})};
  const AddressChoice choice = pick(hosts);
  EXPECT_THAT(endpoints(choice), ElementsAre("198.51.100.1"));
  EXPECT_TRUE(us().is_us({"::ffff:203.0.113.7", 25}));
  const AddressChoice v6 = pick({host("hidden.x", 20, {}, {"2001:db8:7:0::7"})});
  expect_failure(v6.failure, Outcome::failed, 554, {5, 4, 6}, "loops back");
}

TEST(MxHosts, R32_a_host_on_another_port_of_ours_is_another_host) {
  AddressRules rules;
  rules.port = 2626;
  EXPECT_THAT(endpoints(pick({host("a.x", 10, {"203.0.113.7"})}, rules)),
              ElementsAre("203.0.113.7"));
}

TEST(MxHosts, R32_a_domain_that_is_ourselves_without_MX_is_a_loop) {
  SeededRandom random(1);
  const MxChoice choice = choose_mx("out.example", mx_status(dns::Status::no_data), us(), random);
  expect_failure(choice.failure, Outcome::failed, 554, {5, 4, 6}, "loops back");
}

// ---- addresses --------------------------------------------------------------------------------

TEST(MxHosts, TheFamiliesTakeTurnsAndThePreferredOneBegins) {
  const std::vector<HostAnswers> hosts = {
      host("a.x", 10, {"198.51.100.1", "198.51.100.2"}, {"2001:db8::1"})};
  AddressRules rules;
  EXPECT_THAT(endpoints(pick(hosts, rules)),
              ElementsAre("2001:db8::1", "198.51.100.1", "198.51.100.2"));
  rules.families = families_of("ipv4");
  EXPECT_THAT(endpoints(pick(hosts, rules)),
              ElementsAre("198.51.100.1", "2001:db8::1", "198.51.100.2"));
  rules.families = families_of("ipv4-only");
  EXPECT_THAT(endpoints(pick(hosts, rules)), ElementsAre("198.51.100.1", "198.51.100.2"));
  rules.families = families_of("ipv6-only");
  EXPECT_THAT(endpoints(pick(hosts, rules)), ElementsAre("2001:db8::1"));
}

TEST(MxHosts, AnAddressOfTheFamilyThatWeDoNotUseIsNoReasonToFail) {
  HostAnswers only_v6 = host("a.x", 10, {}, {"2001:db8::1"});
  AddressRules rules;
  rules.families = Families::ipv4_only;
  const AddressChoice choice = pick({only_v6}, rules);
  expect_failure(choice.failure, Outcome::deferred, 451, {4, 4, 4}, "family");
  only_v6.v6.reset();
  EXPECT_TRUE(needs_other_family(only_v6, Families::ipv4_only));
  EXPECT_FALSE(needs_other_family(only_v6, Families::ipv6_first));
}

TEST(MxHosts, RouteHostsKnowTheirOrigin) {
  const AddressChoice choice = pick({host("a.x", 10, {"198.51.100.1"})});
  ASSERT_EQ(choice.hosts.size(), 1u);
  EXPECT_EQ(choice.hosts[0].name, "a.x");
  EXPECT_EQ(choice.hosts[0].preference, 10);
  EXPECT_TRUE(choice.hosts[0].from_mx);
  EXPECT_EQ(choice.hosts[0].endpoint.port, 25);
}

TEST(MxHosts, maddy_27_no_MX_and_no_address_fails) {
  expect_failure(pick({host("b.example", 0, {})}, {}, "implicit mx").failure, Outcome::failed, 550,
                 {5, 1, 2}, "neither MX nor address");
}

TEST(MxHosts, MXHostsWithoutAnyAddressFail) {
  expect_failure(pick({host("a.x", 10, {}), host("b.x", 20, {})}).failure, Outcome::failed, 550,
                 {5, 4, 4}, "has an address");
}

TEST(MxHosts, ALookupLeftOpenBesideAHostThatWorksDoesNoHarm) {
  HostAnswers open = host("a.x", 10, {});
  open.v4 = address_status(dns::Status::temporary);
  const AddressChoice choice = pick({open, host("b.x", 20, {"198.51.100.1"})});
  EXPECT_THAT(endpoints(choice), ElementsAre("198.51.100.1"));
  EXPECT_THAT(choice.left_out, ElementsAre(HasSubstr("a.x: the lookup of its A records")));
}

TEST(MxHosts, NothingUsableAndALookupLeftOpenDefers) {
  HostAnswers open = host("a.x", 10, {});
  open.v6 = address_status(dns::Status::temporary);
  const AddressChoice choice = pick({host("b.x", 5, {}), open});
  expect_failure(choice.failure, Outcome::deferred, 451, {4, 4, 3}, "a.x (AAAA)");
  EXPECT_FALSE(choice.failure->counts_as_try);
}

// ---- addresses that are not of the internet -----------------------------------------------------

TEST(MxHosts, I29_addresses_of_private_networks_are_refused) {
  for (const char* address : {"127.0.0.1",
                              "127.255.255.255",
                              "10.1.2.3",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "0.0.0.0",
                              "0.1.2.3",
                              "100.64.0.1",
                              "224.0.0.1",
                              "255.255.255.255",
                              "240.0.0.1",
                              "::1",
                              "::",
                              "fe80::1",
                              "fc00::1",
                              "fdff::1",
                              "fec0::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::127.0.0.1",
                              "64:ff9b::a00:1",
                              "2002:7f00:1::1"}) {
    EXPECT_NE(why_not_public(address), "") << address;
    const bool v6 = std::string(address).find(':') != std::string::npos;
    const std::vector<std::string> one = {address};
    const std::vector<HostAnswers> hosts = {host("a.x", 10, v6 ? std::vector<std::string>{} : one,
                                                 v6 ? one : std::vector<std::string>{})};
    const AddressChoice choice = pick(hosts);
    expect_failure(choice.failure, Outcome::deferred, 451, {4, 4, 4}, "allow_private");
    EXPECT_EQ(choice.failure->cause, Cause::policy);
    AddressRules rules;
    rules.allow_private = true;
    EXPECT_FALSE(pick(hosts, rules).failure) << address;
  }
}

TEST(MxHosts, I29_addresses_of_the_internet_are_used) {
  for (const char* address :
       {"1.1.1.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "100.63.0.1", "100.128.0.1",
        "223.255.255.255", "2001:db8::1", "2606:4700::1", "::ffff:8.8.8.8", "2002:808:808::1"}) {
    EXPECT_EQ(why_not_public(address), "") << address;
  }
}

TEST(MxHosts, I29_a_private_address_beside_a_public_one_is_left_out) {
  const AddressChoice choice =
      pick({host("a.x", 10, {"10.0.0.1", "198.51.100.1"}), host("localhost", 20, {"127.0.0.1"})});
  EXPECT_THAT(endpoints(choice), ElementsAre("198.51.100.1"));
  EXPECT_EQ(choice.left_out.size(), 2u);
}

TEST(MxHosts, I30_five_hundred_addresses_are_bounded) {
  std::vector<HostAnswers> hosts;
  for (std::uint16_t i = 0; i < 20; ++i) {
    std::vector<std::string> list;
    for (int j = 1; j < 33; ++j) {
      list.push_back("198.51." + std::to_string(i) + "." + std::to_string(j));
    }
    hosts.push_back(host("h" + std::to_string(i) + ".x", i, list));
  }
  EXPECT_EQ(pick(hosts).hosts.size(), route_addresses_max);
}

// ---- address literals -------------------------------------------------------------------------

TEST(MxHosts, AnAddressLiteralIsItsOwnHost) {
  EXPECT_EQ(address_of_literal("[192.0.2.1]"), "192.0.2.1");
  EXPECT_EQ(address_of_literal("[ipv6:2001:DB8::1]"), "2001:db8::1");
  for (const char* bad : {"[2001:db8::1]", "[IPv6:192.0.2.1]", "[x400:a]", "[]", "[192.0.2.1",
                          "192.0.2.1", "[192.0.2.256]", "[IPv6:fe80::1%eth0]"}) {
    EXPECT_FALSE(address_of_literal(bad)) << bad;
  }
  const AddressChoice choice = choose_literal("[192.0.2.1]", {}, us());
  EXPECT_THAT(endpoints(choice), ElementsAre("192.0.2.1"));
  expect_failure(choose_literal("[tag:x]", {}, us()).failure, Outcome::failed, 550, {5, 1, 2},
                 "no address literal");
  expect_failure(choose_literal("[203.0.113.7]", {}, us()).failure, Outcome::failed, 554, {5, 4, 6},
                 "loops back");
  expect_failure(choose_literal("[127.0.0.1]", {}, us()).failure, Outcome::deferred, 451, {4, 4, 4},
                 "loopback");
}

}  // namespace
}  // namespace mansio::delivery
