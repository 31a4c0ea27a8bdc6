// Routes over a DNS in memory, alone and below a channel with servers in memory.
#include "delivery/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/task_group.h"
#include "delivery/channel_test_kit.h"

namespace mansio::delivery {
namespace {

using dns::Status;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A channel whose route has no next_hop, and a DNS.
class MxKit : public ChannelKit {
 public:
  MxKit() { route.next_hop.clear(); }

  std::unique_ptr<fake::ScriptedServer> serve(const std::string& address) {
    auto server = add_server({address, 25});
    route.next_hop.clear();
    return server;
  }

  RouteResult find(const std::string& destination) {
    auto settings = std::make_shared<settings::Settings>();
    settings->routes.push_back(route);
    LaneKey wanted;
    wanted.destination = destination;
    const auto routes = make_routes(std::move(settings));
    return fake::run(context, clock, routes->route(wanted));
  }
};

std::vector<std::string> hosts_of(const RouteResult& result) {
  std::vector<std::string> out;
  for (const RouteHost& host : result.route.hosts) {
    out.push_back(host.name + "=" + host.endpoint.to_string());
  }
  return out;
}

// ---- one attempt over the DNS -----------------------------------------------------------------

TEST(MxDelivery, maddy_24_mail_goes_to_the_MX_host) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.host, "mx.b.example");
  EXPECT_EQ(disposition.address, "192.0.2.2:25");
  EXPECT_THAT(kit.primary->deliveries(), SizeIs(1));
}

TEST(MxDelivery, maddy_25_mail_of_the_null_sender_goes_to_the_MX_host) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.deliver_one({.sender = ""}).outcome, Outcome::delivered);
  EXPECT_EQ(kit.primary->count("MAIL FROM:<>"), 1u);
}

TEST(MxDelivery, maddy_26_without_MX_the_address_of_the_domain_is_used) {
  MxKit kit;
  kit.resolver->set_addresses("b.example", {"192.0.2.2"});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.host, "b.example");
}

TEST(MxDelivery, maddy_27_neither_MX_nor_address_is_a_failure_without_a_hang) {
  MxKit kit;
  kit.resolver->set_mx_status("b.example", Status::no_data);
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::failed);
  EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{5, 1, 2}));
  EXPECT_TRUE(kit.network.attempts().empty());
}

TEST(MxDelivery, maddy_28_a_null_MX_gives_556) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{0, ""}});
  kit.resolver->set_addresses("b.example", {"192.0.2.2"});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::failed);
  EXPECT_EQ(disposition.reply.code, 556);
  EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{5, 1, 10}));
  EXPECT_TRUE(kit.network.attempts().empty());
}

TEST(MxDelivery, maddy_29_an_MX_host_that_is_down_is_followed_by_the_next) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx1.b.example"}, {20, "mx2.b.example"}});
  kit.resolver->set_addresses("mx1.b.example", {"192.0.2.9"});
  kit.resolver->set_addresses("mx2.b.example", {"192.0.2.2"});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.host, "mx2.b.example");
  EXPECT_THAT(kit.network.attempts(), SizeIs(2));
}

TEST(MxDelivery, maddy_30_all_MX_hosts_down_is_a_deferral) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx1.b.example"}, {20, "mx2.b.example"}});
  kit.resolver->set_addresses("mx1.b.example", {"192.0.2.8"});
  kit.resolver->set_addresses("mx2.b.example", {"192.0.2.9"});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.cause, Cause::network);
  EXPECT_TRUE(disposition.counts_as_try);
  EXPECT_TRUE(kit.report.trouble.has_value());
}

TEST(MxDelivery, maddy_34_a_failure_at_one_domain_leaves_the_other) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.find("gone.example").failure->outcome, Outcome::failed);
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
}

TEST(MxDelivery, R29_at_least_two_hosts_are_tried_even_if_the_first_has_many_addresses) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "big.b.example"}, {20, "mx2.b.example"}});
  kit.resolver->set_addresses("big.b.example", {"192.0.2.11", "192.0.2.12", "192.0.2.13",
                                                "192.0.2.14", "192.0.2.15", "192.0.2.16"});
  kit.resolver->set_addresses("mx2.b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_THAT(kit.network.attempts(), SizeIs(4));
}

TEST(MxDelivery, I30_at_most_five_addresses_are_tried_in_one_attempt) {
  MxKit kit;
  std::vector<dns::MxRecord> records;
  for (std::uint16_t i = 0; i < 500; ++i) {
    const std::string name = "h" + std::to_string(i) + ".b.example";
    records.push_back({i, name});
    kit.resolver->set_addresses(name, {"198.51.100." + std::to_string(i % 250 + 1)});
  }
  kit.resolver->set_mx("b.example", records);
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::deferred);
  EXPECT_THAT(kit.network.attempts(), SizeIs(5));
  EXPECT_LE(kit.resolver->calls(), 1 + 2 * mx_hosts_max);
}

TEST(MxDelivery, ADeadDomainFailsAllItsMailInOneSession) {
  MxKit kit;
  for (int i = 0; i < 50; ++i) kit.add({});
  kit.report = kit.run();
  EXPECT_THAT(kit.lane.done, SizeIs(50));
  for (const auto& done : kit.lane.done) {
    EXPECT_EQ(done.dispositions[0].outcome, Outcome::failed);
    EXPECT_EQ(done.dispositions[0].reply.enhanced, (EnhancedCode{5, 1, 2}));
    EXPECT_TRUE(done.dispositions[0].counts_as_try);
  }
  EXPECT_FALSE(kit.report.trouble.has_value());
  EXPECT_EQ(kit.resolver->mx_calls("b.example"), 1u);
}

TEST(MxDelivery, F14_a_temporary_error_rests_the_lane_and_counts_no_try) {
  MxKit kit;
  kit.resolver->set_status("b.example", Status::temporary, "REFUSED");
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.cause, Cause::dns);
  EXPECT_FALSE(disposition.counts_as_try);
  EXPECT_THAT(disposition.reply.text, HasSubstr("REFUSED"));
  EXPECT_TRUE(kit.report.trouble.has_value());
}

TEST(MxDelivery, F14_a_slow_DNS_is_waited_for) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  kit.resolver->set_delay("b.example", std::chrono::seconds(19));
  kit.resolver->set_delay("mx.b.example", std::chrono::seconds(19));
  const SteadyTime begin = kit.clock.steady_now();
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  // Both families of a host are asked at the same time.
  EXPECT_LT(kit.clock.steady_now() - begin, std::chrono::seconds(45));
}

TEST(MxDelivery, NoHostTakesAllTheTriesWhileOthersWait) {
  const std::vector<RouteHost> hosts = {{"a.x", {"2001:db8::1", 25}},
                                        {"a.x", {"192.0.2.1", 25}},
                                        {"a.x", {"2001:db8::2", 25}},
                                        {"a.x", {"192.0.2.3", 25}},
                                        {"b.x", {"192.0.2.4", 25}}};
  const std::vector<RouteHost> ordered = order_for_attempt(hosts);
  EXPECT_EQ(ordered[2].endpoint.address, "2001:db8::2");
  EXPECT_EQ(ordered[3].name, "b.x");
  EXPECT_EQ(ordered[4].endpoint.address, "192.0.2.3");
}

// ---- slimta's MX behaviours --------------------------------------------------------------------

TEST(MxDelivery, slimta_43_the_domain_is_compared_without_case) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "MX.B.Example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.deliver_one({.recipients = {"r@B.EXAMPLE"}}).outcome, Outcome::delivered);
}

TEST(MxDelivery, slimta_43_attempts_rotate_over_the_hosts) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx1.b.example"}, {20, "mx2.b.example"}});
  kit.resolver->set_addresses("mx1.b.example", {"192.0.2.9"});
  kit.resolver->set_addresses("mx2.b.example", {"192.0.2.2"});
  kit.deliver_one();
  kit.deliver_one();
  // The second attempt begins with the host that worked.
  ASSERT_THAT(kit.network.attempts(), SizeIs(3));
  EXPECT_EQ(kit.network.attempts()[2].peer.address, "192.0.2.2");
}

TEST(MxDelivery, slimta_43_no_MX_falls_back_to_the_address_and_nothing_is_permanent) {
  MxKit kit;
  kit.resolver->set_addresses("b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.find("b.example").how, "implicit mx");
  kit.resolver->forget("b.example");
  EXPECT_EQ(kit.find("b.example").failure->outcome, Outcome::failed);
}

TEST(MxDelivery, slimta_43_what_the_DNS_says_is_asked_anew_at_each_attempt) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.9"});
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::deferred);
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
}

TEST(MxDelivery, slimta_43_a_next_hop_stands_instead_of_the_MX) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.add_hop({"192.0.2.2", 25});
  EXPECT_EQ(kit.deliver_one().outcome, Outcome::delivered);
  EXPECT_EQ(kit.resolver->calls(), 0u);
}

TEST(MxDelivery, slimta_43_a_bad_address_is_no_destination) {
  MxKit kit;
  EXPECT_EQ(kit.find("[not.an.address]").failure->outcome, Outcome::failed);
}

// ---- routes ------------------------------------------------------------------------------------

TEST(Routes, R33_a_host_that_is_a_CNAME_is_tolerated) {
  MxKit kit;
  // The resolver follows the chain; the name of the record stays the host's.
  kit.resolver->set_mx("b.example", {{10, "alias.b.example"}});
  kit.resolver->set_addresses("alias.b.example", {"192.0.2.2"});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("alias.b.example=192.0.2.2:25"));
}

TEST(Routes, R30_with_MX_records_the_address_of_the_domain_is_never_used) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "gone.b.example"}});
  kit.resolver->set_addresses("b.example", {"192.0.2.2"});
  const RouteResult result = kit.find("b.example");
  EXPECT_THAT(result.route.hosts, IsEmpty());
  EXPECT_EQ(result.failure->reply.enhanced, (EnhancedCode{5, 4, 4}));
  EXPECT_EQ(kit.resolver->address_calls("b.example"), 0u);
}

TEST(Routes, MailDoesNotFailByMXRecordsThatTheZoneHasGivenUp) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "old.b.example"}});
  kit.resolver->set_mx_now("b.example", {{10, "new.b.example"}});
  kit.resolver->set_addresses("new.b.example", {"192.0.2.2"});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("new.b.example=192.0.2.2:25"));
  // Where the records are of use, nobody asks twice.
  kit.resolver->set_addresses("old.b.example", {"192.0.2.3"});
  const std::size_t before = kit.resolver->mx_calls("b.example");
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("old.b.example=192.0.2.3:25"));
  EXPECT_EQ(kit.resolver->mx_calls("b.example"), before + 1);
}

TEST(Routes, MailDoesNotFailByMXRecordsThatTheZoneDidNotHaveYet) {
  MxKit kit;
  kit.resolver->set_mx_status("b.example", Status::no_data);
  kit.resolver->set_mx_now("b.example", {{10, "new.b.example"}});
  kit.resolver->set_addresses("new.b.example", {"192.0.2.2"});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("new.b.example=192.0.2.2:25"));
}

TEST(Routes, MailDoesNotFailWhereMXHostsWereNotLookedUp) {
  MxKit kit;
  std::vector<dns::MxRecord> records;
  for (std::uint16_t i = 0; i <= mx_hosts_max; ++i) {
    records.push_back({i, "h" + std::to_string(i) + ".b.example"});
  }
  kit.resolver->set_mx("b.example", records);
  const RouteResult result = kit.find("b.example");
  EXPECT_EQ(result.failure->outcome, Outcome::deferred);
  EXPECT_THAT(result.failure->reply.text, HasSubstr("no more are looked up"));
  records.pop_back();
  kit.resolver->set_mx("b.example", records);
  EXPECT_EQ(kit.find("b.example").failure->outcome, Outcome::failed);
}

TEST(Routes, I29_localhost_as_MX_is_refused_unless_allowed) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "localhost"}});
  kit.resolver->set_addresses("localhost", {"127.0.0.1", "::1"});
  const RouteResult refused = kit.find("b.example");
  EXPECT_EQ(refused.failure->outcome, Outcome::deferred);
  EXPECT_THAT(refused.left_out, SizeIs(2));
  kit.dns.allow_private = true;
  EXPECT_THAT(hosts_of(kit.find("b.example")),
              ElementsAre("localhost=[::1]:25", "localhost=127.0.0.1:25"));
}

TEST(Routes, I29_the_implicit_MX_is_judged_like_any_other) {
  MxKit kit;
  kit.resolver->set_addresses("b.example", {"192.168.1.1"});
  EXPECT_THAT(kit.find("b.example").failure->reply.text, HasSubstr("private address"));
}

TEST(Routes, OnlyTheFamilyThatIsWantedIsAskedFor) {
  MxKit kit;
  kit.dns.prefer = "ipv4-only";
  kit.resolver->set_addresses("b.example", {"192.0.2.2", "2001:db8::1"});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("b.example=192.0.2.2:25"));
  EXPECT_EQ(kit.resolver->address_calls("b.example"), 1u);
  kit.resolver->set_addresses("six.example", {"2001:db8::1"});
  EXPECT_EQ(kit.find("six.example").failure->outcome, Outcome::deferred);
}

TEST(Routes, NamesOfSmartHostsAreLookedUpAndAllTheirAddressesAreTried) {
  MxKit kit;
  kit.add_hop({"smart.example", 587});
  kit.add_hop({"198.51.100.1", 25});
  kit.add_hop({"gone.example", 25});
  kit.resolver->set_addresses("smart.example", {"192.168.0.1", "2001:db8::1", "192.168.0.2"});
  const RouteResult result = kit.find("b.example");
  EXPECT_THAT(hosts_of(result),
              ElementsAre("smart.example=[2001:db8::1]:587", "smart.example=192.168.0.1:587",
                          "smart.example=192.168.0.2:587", "198.51.100.1=198.51.100.1:25"));
  EXPECT_THAT(result.left_out, ElementsAre(HasSubstr("gone.example")));
  EXPECT_EQ(result.how, "next_hop");
  EXPECT_FALSE(result.route.hosts[0].from_mx);
}

TEST(Routes, ASmartHostWithoutAddressIsNeverTheEndOfTheMail) {
  MxKit kit;
  kit.add_hop({"gone.example", 25});
  const RouteResult result = kit.find("b.example");
  EXPECT_EQ(result.failure->outcome, Outcome::deferred);
  EXPECT_FALSE(result.failure->counts_as_try);
  EXPECT_THAT(result.failure->reply.text, HasSubstr("gone.example"));
}

TEST(Routes, AUnixSocketNeedsNoLookup) {
  MxKit kit;
  kit.add_hop({"/run/lmtp.sock", 0});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("/run/lmtp.sock=/run/lmtp.sock"));
  EXPECT_EQ(kit.resolver->calls(), 0u);
}

TEST(Routes, AnAddressLiteralIsConnectedToDirectly) {
  MxKit kit;
  const RouteResult result = kit.find("[192.0.2.2]");
  EXPECT_EQ(result.how, "address literal");
  EXPECT_THAT(hosts_of(result), ElementsAre("192.0.2.2=192.0.2.2:25"));
  EXPECT_EQ(kit.resolver->calls(), 0u);
}

TEST(Routes, ThePortOfTheRouteIsThatOfItsMXHosts) {
  MxKit kit;
  kit.route.port = 2525;
  kit.resolver->set_addresses("b.example", {"192.0.2.2"});
  EXPECT_THAT(hosts_of(kit.find("b.example")), ElementsAre("b.example=192.0.2.2:2525"));
}

TEST(Routes, TheRouteOfASenderHoldsForItsLane) {
  MxKit kit;
  auto settings = std::make_shared<settings::Settings>();
  settings->routes.push_back(kit.route);
  settings->routes.push_back(kit.route);
  settings->routes.back().sender = "*@news.example";
  settings->routes.back().next_hop.push_back({"198.51.100.1", 25});
  const auto routes = kit.make_routes(settings);
  const LaneKey lane = routes->lane_for("b.example", "x@news.example");
  EXPECT_EQ(lane.binding, "sender:*@news.example");
  const RouteResult result = fake::run(kit.context, kit.clock, routes->route(lane));
  EXPECT_EQ(result.how, "next_hop");
  EXPECT_EQ(routes->lane_for("b.example", "x@other.example").binding, "default");
}

TEST(Routes, ManyLookupsOfARouteEndWhenTheSessionIsCancelled) {
  MxKit kit;
  kit.resolver->set_mx("b.example", {{10, "mx.b.example"}});
  kit.resolver->set_addresses("mx.b.example", {"192.0.2.2"});
  kit.resolver->set_delay("mx.b.example", std::chrono::hours(1));
  TaskGroup group(kit.context.get_executor());
  kit.add({});
  kit.lane.keep_put_back = true;
  const auto session = [&kit]() -> Task<void> {
    SessionRequest request;
    request.lane.destination = "b.example";
    auto running = kit.channel().run(std::move(request), kit.lane);
    co_await std::move(running);
  };
  auto task = session();
  group.spawn("session", std::move(task));
  fake::run_until_idle(kit.context);
  group.cancel();
  fake::run_until_idle(kit.context);
  EXPECT_EQ(group.size(), 0u);
  EXPECT_THAT(kit.lane.returned, SizeIs(1));
  fake::run_until_done(kit.context, kit.clock);
}

}  // namespace
}  // namespace mansio::delivery
