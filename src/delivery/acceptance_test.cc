// The acceptance cases about delivery by SMTP and LMTP. Where ours differs from the case's origin,
// docs/CONFORMANCE.md says why.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "delivery/channel_test_kit.h"
#include "delivery/smtp_target.h"

namespace mansio::delivery {
namespace {

using fake::Reaction;
using fake::Script;

const std::vector<std::string> kThree = {"a@b.example", "b@b.example", "c@b.example"};

TEST(Delivery, maddy_30_all_hosts_down_is_a_deferral_that_counts) {
  ChannelKit kit;
  kit.network.refuse({"192.0.2.2", 25});
  kit.network.black_hole({"192.0.2.3", 25});
  kit.add_hop({"192.0.2.3", 25});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.stage, Stage::connect);
  EXPECT_TRUE(disposition.counts_as_try);
  ASSERT_TRUE(kit.report.trouble.has_value());
  EXPECT_EQ(kit.network.attempts().size(), 2u);
}

TEST(Delivery, maddy_31_an_error_at_mail_is_everybodys_with_the_host_named) {
  ChannelKit kit;
  kit.primary->on("MAIL", "550 5.7.1 not from you\r\n");
  const auto dispositions = kit.deliver({.recipients = kThree});
  ASSERT_EQ(dispositions.size(), 3u);
  for (const Disposition& disposition : dispositions) {
    EXPECT_EQ(disposition.outcome, Outcome::failed);
    EXPECT_EQ(disposition.stage, Stage::mail);
    EXPECT_EQ(disposition.reply.text, "not from you");
    EXPECT_EQ(disposition.host, "192.0.2.2");
  }
  EXPECT_FALSE(kit.report.trouble.has_value());
}

TEST(Delivery, maddy_32_an_error_at_rcpt_leaves_the_others) {
  for (const bool pipelining : {true, false}) {
    ChannelKit kit;
    if (!pipelining) kit.primary->set_extensions({});
    kit.primary->on("RCPT TO:<b@", "550 5.1.1 no such user\r\n");
    const auto dispositions = kit.deliver({.recipients = kThree});
    ASSERT_EQ(dispositions.size(), 3u);
    EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
    EXPECT_EQ(dispositions[1].outcome, Outcome::failed);
    EXPECT_EQ(dispositions[1].stage, Stage::rcpt);
    EXPECT_EQ(dispositions[2].outcome, Outcome::delivered);
    EXPECT_EQ(kit.primary->deliveries()[0].recipients.size(), 2u);
  }
}

/// Two destinations with a server each: a message's recipients are split over lanes by the queue,
/// and each lane's session knows only its own.
struct TwoDestinations {
  std::vector<Disposition> deliver(const std::string& destination,
                                   const std::vector<std::string>& recipients) {
    auto settings = std::make_shared<settings::Settings>();
    for (const auto& [pattern, address] :
         {std::pair("b.example", "192.0.2.2"), std::pair("c.example", "192.0.2.3")}) {
      settings::Route route;
      route.pattern = pattern;
      route.tls = "none";
      route.next_hop.push_back(Endpoint{address, 0});
      settings->routes.push_back(route);
    }
    SmtpChannel channel({}, kit.make_routes(settings), kit.network, kit.clock, nullptr, nullptr);
    SessionRequest request;
    request.lane.destination = destination;
    kit.add({.recipients = recipients});
    fake::run(kit.context, kit.clock, channel.run(std::move(request), kit.lane));
    return kit.lane.done.back().dispositions;
  }

  ChannelKit kit;
  std::unique_ptr<fake::ScriptedServer> other = kit.add_server({"192.0.2.3", 25});
};

TEST(Delivery, maddy_33_two_domains_go_to_two_hosts) {
  TwoDestinations two;
  EXPECT_EQ(two.deliver("b.example", {"x@b.example"})[0].outcome, Outcome::delivered);
  EXPECT_EQ(two.deliver("c.example", {"y@c.example"})[0].outcome, Outcome::delivered);
  EXPECT_EQ(two.kit.primary->count("RCPT TO:<x@b.example>"), 1u);
  EXPECT_EQ(two.other->count("RCPT TO:<y@c.example>"), 1u);
  EXPECT_EQ(two.other->count("RCPT"), 1u);
}

TEST(Delivery, maddy_34_a_refused_recipient_of_one_domain_leaves_the_other_domain) {
  TwoDestinations two;
  two.other->on("RCPT TO:<y@", "550 5.1.1 no such user\r\n");
  EXPECT_EQ(two.deliver("b.example", {"x@b.example"})[0].outcome, Outcome::delivered);
  const auto dispositions = two.deliver("c.example", {"y@c.example", "z@c.example"});
  EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[1].outcome, Outcome::delivered);
}

TEST(Delivery, maddy_35_an_error_at_data_is_that_of_the_accepted) {
  for (const bool pipelining : {true, false}) {
    ChannelKit kit;
    if (!pipelining) kit.primary->set_extensions({});
    kit.primary->on("RCPT TO:<b@", "450 4.2.1 later\r\n");
    kit.primary->on("DATA", "554 5.7.1 no\r\n");
    const auto dispositions = kit.deliver({.recipients = kThree});
    ASSERT_EQ(dispositions.size(), 3u);
    EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
    EXPECT_EQ(dispositions[0].stage, Stage::data);
    EXPECT_EQ(dispositions[1].outcome, Outcome::deferred);
    EXPECT_EQ(dispositions[1].stage, Stage::rcpt);
    EXPECT_EQ(dispositions[2].outcome, Outcome::failed);
    EXPECT_EQ(kit.primary->count("RSET"), 1u);
  }
}

TEST(Delivery, maddy_36_each_recipient_gets_its_own_result_never_a_blurred_one) {
  // maddy's atomic interface reports 451 "partial" for a mixture; ours keeps the results apart.
  ChannelKit kit(true);
  kit.primary->on(". a@b.example", "250 2.0.0 yes\r\n");
  kit.primary->on(". b@b.example", "550 5.2.2 full\r\n");
  kit.primary->on(". c@b.example", "451 4.3.0 later\r\n");
  const auto dispositions = kit.deliver({.recipients = kThree});
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[1].reply.text, "full");
  EXPECT_EQ(dispositions[2].reply.text, "later");
}

/// A route and a channel kit's network as a Target.
std::vector<Disposition> deliver_by_target(ChannelKit& kit, bool lmtp, const TestMessage& message,
                                           std::uint64_t& faults) {
  auto settings = std::make_shared<settings::Settings>();
  settings->routes.push_back(kit.route);
  SmtpChannelOptions options;
  options.lmtp = lmtp;
  Binding binding;
  binding.ehlo = "out.example";
  SmtpTarget target(options, "b.example", binding, kit.make_routes(settings), kit.network,
                    kit.clock, nullptr, nullptr);
  const std::unique_ptr<Work> work = message.work();
  return fake::run(
      kit.context, kit.clock,
      deliver_to(target, work->message(), work->recipients(), work->content(), faults));
}

TEST(Delivery, maddy_37_the_target_gives_exact_statuses_per_recipient) {
  ChannelKit kit(true);
  kit.primary->on("RCPT TO:<a@", "550 5.1.1 no such user\r\n");
  kit.primary->on(". c@b.example", "452 4.2.2 full\r\n");
  std::uint64_t faults = 0;
  const auto dispositions = deliver_by_target(kit, true, {.recipients = kThree}, faults);
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[1].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[2].outcome, Outcome::deferred);
  EXPECT_EQ(faults, 0u);
  EXPECT_EQ(kit.primary->count("LHLO"), 1u);
}

TEST(Delivery, maddy_39_an_abort_leaves_no_open_connection) {
  ChannelKit kit;
  kit.primary->on("RCPT", "550 5.1.1 no such user\r\n");
  std::uint64_t faults = 0;
  const auto dispositions = deliver_by_target(kit, false, {.recipients = kThree}, faults);
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[2].outcome, Outcome::failed);
  fake::run_until_idle(kit.context);
  EXPECT_EQ(kit.primary->open(), 0u);
  EXPECT_EQ(kit.primary->count("DATA"), 0u);
  // And with a body and a commit.
  kit.primary->clear_rules();
  EXPECT_EQ(deliver_by_target(kit, false, {}, faults)[0].outcome, Outcome::delivered);
  fake::run_until_idle(kit.context);
  EXPECT_EQ(kit.primary->open(), 0u);
}

/// A host whose handshake breaks off the first time.
Script breaking_handshake() {
  return Script()
      .send("220 mx\r\n")
      .expect("EHLO")
      .send("250-mx\r\n250 STARTTLS\r\n")
      .expect("STARTTLS")
      .send("220 go\r\n")
      .close();
}

TEST(Delivery, maddy_40_tls_goes_down_to_plain_text_only_where_it_may) {
  {
    ChannelKit kit;  // TLS with any certificate: better than none
    kit.route.tls = "opportunistic";
    kit.primary->set_extensions({"STARTTLS"});
    const Disposition disposition = kit.deliver_one();
    EXPECT_EQ(disposition.outcome, Outcome::delivered);
    EXPECT_NE(disposition.tls, "");
  }
  {
    ChannelKit kit;  // no TLS to be had: plain text
    kit.route.tls = "opportunistic";
    kit.primary->set_extensions({"STARTTLS"});
    kit.primary->follow(breaking_handshake());
    const Disposition disposition = kit.deliver_one();
    EXPECT_EQ(disposition.outcome, Outcome::delivered);
    EXPECT_EQ(disposition.tls, "");
  }
  {
    ChannelKit kit;  // forbidden
    kit.route.tls = "required";
    kit.primary->set_extensions({"STARTTLS"});
    kit.primary->follow(breaking_handshake());
    EXPECT_EQ(kit.deliver_one().outcome, Outcome::deferred);
    EXPECT_EQ(kit.primary->count("MAIL"), 0u);
  }
}

TEST(Delivery, maddy_41_two_messages_go_over_one_session) {
  ChannelKit kit;
  kit.add({});
  kit.lane.later.push_back(TestMessage{}.work());
  kit.run();
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  EXPECT_EQ(kit.primary->deliveries().size(), 2u);
}

TEST(Delivery, slimta_42_a_session_ends_and_work_that_waits_gets_another) {
  ChannelKit kit;
  kit.request.messages_max = 1;
  kit.add({});
  kit.add({.sender = "second@a.example"});
  kit.run();
  EXPECT_EQ(kit.lane.done.size(), 1u);
  EXPECT_EQ(kit.primary->open(), 0u);
  kit.run();
  ASSERT_EQ(kit.lane.done.size(), 2u);
  EXPECT_EQ(kit.lane.done[1].sender, "second@a.example");
  EXPECT_EQ(kit.primary->connections().size(), 2u);
}

TEST(Delivery, slimta_44_errors_at_banner_ehlo_starttls_and_auth_are_deferrals) {
  struct Row {
    std::string event;
    std::string reply;
    Stage stage;
  };

  const std::vector<Row> rows = {
      {"connect", "420 4.3.2 busy\r\n", Stage::greeting},
      {"EHLO", "451 4.3.0 not now\r\n", Stage::ehlo},
      {"STARTTLS", "454 4.7.0 no TLS now\r\n", Stage::starttls},
      {"AUTH", "535 5.7.8 who are you\r\n", Stage::auth},
  };
  for (const Row& row : rows) {
    ChannelKit kit;
    kit.route.tls = "required";
    settings::Auth auth;
    auth.user = "u";
    auth.password = "p";
    kit.route.auth = auth;
    kit.primary->set_extensions({"STARTTLS", "AUTH PLAIN", "PIPELINING"});
    kit.primary->on("AUTH", "235 2.7.0 ok\r\n");
    kit.primary->on(row.event, Reaction(row.reply));
    const Disposition disposition = kit.deliver_one();
    EXPECT_EQ(disposition.outcome, Outcome::deferred) << row.event;
    EXPECT_EQ(disposition.stage, row.stage) << row.event;
    EXPECT_TRUE(kit.report.trouble.has_value()) << row.event;
    EXPECT_EQ(kit.primary->count("MAIL"), 0u) << row.event;
  }
}

TEST(Delivery, slimta_45_a_pipelined_bad_mail_or_rcpt_ends_in_just_the_dot_and_rset) {
  for (const std::string event : {"MAIL", "RCPT"}) {
    ChannelKit kit;
    kit.primary->on(event, "550 5.7.1 no\r\n");
    kit.primary->on("DATA", "354 go on\r\n");
    const auto dispositions = kit.deliver({.recipients = {"a@b.example", "b@b.example"}});
    ASSERT_EQ(dispositions.size(), 2u);
    EXPECT_EQ(dispositions[0].outcome, Outcome::failed) << event;
    EXPECT_EQ(dispositions[0].reply.text, "no") << event;
    for (const auto& delivery : kit.primary->deliveries()) EXPECT_EQ(delivery.content, "");
    EXPECT_EQ(kit.primary->count("RSET"), 1u) << event;
    EXPECT_EQ(kit.lane.done[0].dots, 0) << event;
  }
}

TEST(Delivery, slimta_46_data_refused_with_450_is_a_deferral) {
  ChannelKit kit;
  kit.primary->on("DATA", "450 4.3.0 wait\r\n");
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.stage, Stage::data);
}

TEST(Delivery, slimta_47_a_failing_rset_does_not_lose_the_result) {
  for (const Reaction& reaction : {Reaction("500 what\r\n"), Reaction("", Reaction::Then::close),
                                   Reaction("", Reaction::Then::stall)}) {
    ChannelKit kit;
    kit.primary->on("DATA", "550 5.7.1 no\r\n");
    kit.primary->on("RSET", reaction);
    kit.add({});
    kit.add({});
    kit.run();
    ASSERT_EQ(kit.lane.done.size(), 1u);
    EXPECT_EQ(kit.lane.done[0].dispositions[0].outcome, Outcome::failed);
    EXPECT_EQ(kit.lane.waiting.size(), 1u);
  }
}

TEST(Delivery, slimta_48_8bit_content_is_converted_for_a_peer_without_8bitmime) {
  ChannelKit kit;
  kit.primary->set_extensions({"PIPELINING"});
  EXPECT_EQ(kit.deliver_one({.content = "MIME-Version: 1.0\r\nContent-Type: text/plain; "
                                        "charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                                        "gr\xc3\xbc\xc3\x9f\r\n"})
                .outcome,
            Outcome::delivered);
  const std::string& content = kit.primary->deliveries()[0].content;
  EXPECT_NE(content.find("quoted-printable\r\n\r\ngr=C3=BC=C3=9F\r\n"), std::string::npos)
      << content;
}

TEST(Delivery, slimta_48_8bit_content_that_cannot_be_converted_fails_with_a_clear_text) {
  ChannelKit kit;
  kit.primary->set_extensions({});
  const Disposition disposition =
      kit.deliver_one({.content = "DKIM-Signature: v=1\r\n\r\ngr\xc3\xbc\xc3\x9f\r\n"});
  EXPECT_EQ(disposition.outcome, Outcome::failed);
  EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{5, 6, 3}));
  EXPECT_NE(disposition.reply.text.find("signed"), std::string::npos);
  EXPECT_EQ(kit.primary->count("MAIL"), 0u);
}

TEST(Delivery, slimta_49_two_messages_on_one_connection) {
  ChannelKit kit;
  kit.primary->set_extensions({});
  kit.add({});
  kit.add({});
  kit.run();
  EXPECT_EQ(kit.primary->connections().size(), 1u);
  EXPECT_EQ(kit.primary->deliveries().size(), 2u);
}

TEST(Delivery, slimta_50_socket_errors_and_time_outs_are_temporary) {
  for (const std::string event : {"connect", "EHLO", "MAIL", "RCPT", "DATA", "."}) {
    for (const auto then : {Reaction::Then::close, Reaction::Then::reset, Reaction::Then::stall}) {
      ChannelKit kit;
      kit.primary->on(event, Reaction("", then));
      const Disposition disposition = kit.deliver_one();
      EXPECT_EQ(disposition.outcome, Outcome::deferred) << event;
      EXPECT_EQ(disposition.cause, then == Reaction::Then::stall ? Cause::timeout : Cause::network)
          << event;
      EXPECT_EQ(disposition.in_doubt, event == ".") << event;
      EXPECT_TRUE(disposition.counts_as_try) << event;
    }
  }
}

TEST(Delivery, slimta_51_a_banner_of_5yz_is_about_the_host) {
  ChannelKit refused;
  refused.primary->on("connect", Reaction("554 5.7.1 no\r\n", Reaction::Then::close));
  EXPECT_EQ(refused.deliver_one().outcome, Outcome::deferred);
  ChannelKit never;
  never.primary->on("connect", Reaction("521 5.3.2 no mail here\r\n", Reaction::Then::close));
  EXPECT_EQ(never.deliver_one().outcome, Outcome::failed);
  EXPECT_FALSE(never.report.trouble.has_value());  // final: there is nothing to wait for
}

TEST(Delivery, slimta_52_an_unexpected_exception_is_a_deferral_that_burns_no_try) {
  ChannelKit kit;
  const Disposition disposition = kit.deliver_one({.kind = TestContent::Kind::throws});
  EXPECT_EQ(disposition.outcome, Outcome::deferred);
  EXPECT_EQ(disposition.cause, Cause::local);
  EXPECT_EQ(disposition.reply.enhanced, (EnhancedCode{4, 3, 0}));
  EXPECT_FALSE(disposition.counts_as_try);
  EXPECT_EQ(kit.lane.put_backs, 0);
  EXPECT_TRUE(kit.primary->deliveries().empty());
}

TEST(Delivery, slimta_53_lmtp_gives_mixed_codes) {
  ChannelKit kit(true);
  kit.primary->on("RCPT TO:<b@", "450 4.2.1 later\r\n");
  kit.primary->on(". c@b.example", "550 5.7.1 no\r\n");
  const auto dispositions = kit.deliver({.recipients = kThree});
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::delivered);
  EXPECT_EQ(dispositions[1].outcome, Outcome::deferred);
  EXPECT_EQ(dispositions[1].stage, Stage::rcpt);
  EXPECT_EQ(dispositions[2].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[2].stage, Stage::final_dot);
  EXPECT_FALSE(dispositions[0].peer_has_dsn);
}

TEST(Delivery, slimta_65_recipients_refused_with_mixed_codes_get_their_own) {
  ChannelKit kit;
  kit.primary->on("RCPT TO:<a@", "550 5.1.1 first\r\n");
  kit.primary->on("RCPT TO:<b@", "450 4.2.1 second\r\n");
  kit.primary->on("RCPT TO:<c@", "553 5.1.3 third\r\n");
  const auto dispositions = kit.deliver({.recipients = kThree});
  ASSERT_EQ(dispositions.size(), 3u);
  EXPECT_EQ(dispositions[0].outcome, Outcome::failed);
  EXPECT_EQ(dispositions[1].outcome, Outcome::deferred);
  EXPECT_EQ(dispositions[2].reply.text, "third");
}

TEST(Delivery, slimta_68_mandatory_tls_that_fails_sends_no_octet_of_the_envelope) {
  struct Row {
    std::vector<std::string> extensions;
    std::string starttls;
  };

  for (const Row& row : {Row{{}, ""}, Row{{"STARTTLS"}, "454 no\r\n"},
                         Row{{"STARTTLS"}, "220 go\r\n250 injected\r\n"}}) {
    ChannelKit kit;
    kit.route.tls = "required";
    kit.primary->set_extensions(row.extensions);
    if (!row.starttls.empty()) kit.primary->on("STARTTLS", Reaction(row.starttls));
    const Disposition disposition = kit.deliver_one();
    EXPECT_EQ(disposition.outcome, Outcome::deferred);
    EXPECT_EQ(disposition.stage, Stage::starttls);
    EXPECT_EQ(kit.network.attempts().size(), 1u);
    for (const std::string& line : kit.primary->connections()[0].lines) {
      EXPECT_EQ(line.find("example.org"), std::string::npos);
      EXPECT_TRUE(line.starts_with("EHLO") || line == "STARTTLS" || line == "QUIT") << line;
    }
  }
}

TEST(Delivery, slimta_69_a_dead_first_host_costs_no_attempt) {
  ChannelKit kit;
  kit.network.refuse({"192.0.2.2", 25});
  const auto second = kit.add_server({"192.0.2.3", 25});
  const Disposition disposition = kit.deliver_one();
  EXPECT_EQ(disposition.outcome, Outcome::delivered);
  EXPECT_EQ(disposition.host, "192.0.2.3");
  EXPECT_FALSE(kit.report.trouble.has_value());
}

}  // namespace
}  // namespace mansio::delivery
