#include "admin/request.h"

#include <gtest/gtest.h>

namespace mansio::admin {
namespace {

using Values = std::map<std::string, std::string>;
const Time now = Time{} + std::chrono::hours(1000);

std::string blamed(const std::string& body) {
  ChangeRequest change;
  const auto error = parse_change(body, now, change);
  return error ? error->field : "nothing";
}

std::string blamed(const std::string& name, const std::string& value) {
  QueueSelector selector;
  const auto error = parse_selector({{name, value}}, now, selector);
  return error ? error->field : "nothing";
}

TEST(Query, IsDecodedAndKeepsPlusSigns) {
  Values values;
  EXPECT_FALSE(parse_query("recipient=bob+tag%40b.example&state=held&&empty", values));
  EXPECT_EQ(values["recipient"], "bob+tag@b.example");
  EXPECT_EQ(values["state"], "held");
  EXPECT_EQ(values["empty"], "");
}

TEST(Query, RefusesANameGivenTwiceAndNul) {
  Values values;
  EXPECT_EQ(parse_query("state=held&state=active", values)->field, "state");
  values.clear();
  EXPECT_EQ(parse_query("sender=a%00b", values)->field, "sender");
}

TEST(Selector, TakesEveryDeclaredParameter) {
  const Values values = {
      {"destination", "b.example"}, {"binding", "default"}, {"sender", "<>"},
      {"recipient", "*@b.example"}, {"tenant", "t"},        {"state", "deferred"},
      {"older_than", "1h"},         {"tries_min", "2"},     {"retries_min", "3"},
      {"size_min", "10KiB"},        {"subject", "offer"}};
  EXPECT_EQ(values.size(), selector_parameters().size());
  QueueSelector selector;
  EXPECT_FALSE(parse_selector(values, now, selector));
  const spool::Selector& stored = selector.stored;
  EXPECT_EQ(stored.destination, "b.example");
  EXPECT_EQ(stored.binding, "default");
  EXPECT_EQ(stored.sender, "<>");
  EXPECT_EQ(stored.recipient, "*@b.example");
  EXPECT_EQ(stored.tenant, "t");
  EXPECT_EQ(selector.state, LivingState::deferred);
  EXPECT_FALSE(stored.state) << "the queue derives it from the state of the moment";
  EXPECT_EQ(stored.accepted_before, now - std::chrono::hours(1));
  EXPECT_EQ(stored.tries_min, 2u);
  EXPECT_EQ(stored.retries_min, 3u);
  EXPECT_EQ(stored.size_min, 10240u);
  EXPECT_EQ(stored.subject, "offer");
  EXPECT_FALSE(stored.everything);
}

TEST(Selector, TakesAStarOfALocalPartAsItIs) {
  QueueSelector selector;
  EXPECT_FALSE(parse_selector({{"recipient", "a*b@c.example"}}, now, selector));
  EXPECT_EQ(selector.stored.recipient, "a*b@c.example");
}

TEST(Selector, KnowsAnInternationalDestinationByItsAsciiForm) {
  QueueSelector selector;
  EXPECT_FALSE(parse_selector({{"destination", "*.B\u00FCcher.Example"}}, now, selector));
  EXPECT_EQ(selector.stored.destination, "*.xn--bcher-kva.example");
}

TEST(Selector, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(blamed("state", "delivered"), "state");
  EXPECT_EQ(blamed("state", ""), "state");
  EXPECT_EQ(blamed("recipient", "bob@*"), "recipient");
  EXPECT_EQ(blamed("sender", "*@*.example"), "sender");
  EXPECT_EQ(blamed("destination", "b*.example"), "destination");
  EXPECT_EQ(blamed("older_than", "soon"), "older_than");
  EXPECT_EQ(blamed("older_than", "-1h"), "older_than");
  EXPECT_EQ(blamed("tries_min", "-1"), "tries_min");
  EXPECT_EQ(blamed("tries_min", "4294967296"), "tries_min");
  EXPECT_EQ(blamed("retries_min", "1.5"), "retries_min");
  EXPECT_EQ(blamed("size_min", "big"), "size_min");
  EXPECT_EQ(blamed("sender", ""), "sender");
  EXPECT_EQ(blamed("sendr", "a@b"), "sendr");
  EXPECT_EQ(blamed("sender", "a@b"), "nothing");
}

TEST(Change, TakesIdsInAnyCase) {
  ChangeRequest change;
  EXPECT_FALSE(parse_change(
      R"({"ids":["01hzx3j5q8k2m4n6p7r9s0t1v2"],"reason":"why","dry_run":true})", now, change));
  ASSERT_EQ(change.selector.stored.ids.size(), 1u);
  EXPECT_EQ(change.selector.stored.ids[0].to_string(), "01HZX3J5Q8K2M4N6P7R9S0T1V2");
  EXPECT_TRUE(change.dry_run);
  EXPECT_EQ(change.reason, "why");
}

TEST(Change, TakesASelectorWithNumbersAndText) {
  ChangeRequest change;
  EXPECT_FALSE(parse_change(R"({"selector":{"state":"held","tries_min":3}})", now, change));
  EXPECT_EQ(change.selector.state, LivingState::held);
  EXPECT_EQ(change.selector.stored.tries_min, 3u);
}

TEST(Change, NeedsExactlyOneWayToSelect) {
  EXPECT_EQ(blamed(R"({})"), "selector");
  EXPECT_EQ(blamed(R"({"everything":false})"), "selector");
  EXPECT_EQ(blamed(R"({"selector":{}})"), "selector");
  EXPECT_EQ(blamed(R"({"everything":true,"selector":{"state":"held"}})"), "selector");
  EXPECT_EQ(blamed(R"({"everything":true,"ids":["01HZX3J5Q8K2M4N6P7R9S0T1V2"]})"), "selector");
  EXPECT_EQ(blamed(R"({"everything":true})"), "nothing");
}

TEST(Change, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(blamed(R"({"ids":[]})"), "ids");
  EXPECT_EQ(blamed(R"({"ids":["../../etc/passwd"]})"), "ids");
  EXPECT_EQ(blamed(R"({"ids":[1]})"), "ids");
  EXPECT_EQ(blamed(R"({"ids":"01HZX3J5Q8K2M4N6P7R9S0T1V2"})"), "ids");
  EXPECT_EQ(blamed(R"({"everything":"yes"})"), "everything");
  EXPECT_EQ(blamed(R"({"everything":true,"dry_run":1})"), "dry_run");
  EXPECT_EQ(blamed(R"({"everything":true,"reason":1})"), "reason");
  EXPECT_EQ(blamed(R"({"everything":true,"reason":")" + std::string(1001, 'x') + "\"}"), "reason");
  EXPECT_EQ(blamed(R"({"everything":true,"admin":true})"), "admin");
  EXPECT_EQ(blamed(R"({"selector":{"stat":"held"}})"), "selector.stat");
  EXPECT_EQ(blamed(R"({"selector":{"tries_min":-1}})"), "selector.tries_min");
  EXPECT_EQ(blamed(R"({"selector":[]})"), "selector");
}

TEST(Change, RefusesABodyThatIsNotAJsonObject) {
  EXPECT_EQ(blamed(""), "");
  EXPECT_EQ(blamed("ids=1"), "");
  EXPECT_EQ(blamed("[]"), "");
  EXPECT_EQ(blamed(std::string(100000, '[')), "");
}

TEST(Host, KnowsItsOwnNames) {
  EXPECT_TRUE(is_own_host("127.0.0.1:8025", {}));
  EXPECT_TRUE(is_own_host("LocalHost", {}));
  EXPECT_TRUE(is_own_host("[::1]:8025", {}));
  EXPECT_TRUE(is_own_host("127.0.0.2:1", {"127.0.0.2"}));
  EXPECT_FALSE(is_own_host("", {}));
  EXPECT_FALSE(is_own_host("", {""}));
  EXPECT_FALSE(is_own_host("evil.example", {}));
  EXPECT_FALSE(is_own_host("127.0.0.1.evil.example", {}));
  EXPECT_FALSE(is_own_host("localhost.evil.example:8025", {}));
  EXPECT_FALSE(is_own_host("[::1]evil", {}));
  EXPECT_FALSE(is_own_host("[::1", {}));
}

TEST(ParseBody, TakesWhatIsDeclaredAndNamesTheRest) {
  const std::vector<Parameter> fields = {{"destination", ParameterType::text, "", true, ""},
                                         {"for", ParameterType::duration, ""}};
  std::map<std::string, std::string> values;
  EXPECT_FALSE(parse_body(R"({"destination":"b.example","for":"2h"})", fields, values));
  EXPECT_EQ(values["for"], "2h");
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {"", "destination"},
           {"[]", ""},
           {"{", ""},
           {R"({"destination":true})", "destination"},
           {R"({"destination":"a","x":"y"})", "x"},
           {R"({"destination":"a\u0000b"})", "destination"}}) {
    values.clear();
    const auto error = parse_body(body, fields, values);
    ASSERT_TRUE(error) << body;
    EXPECT_EQ(error->field, field) << body;
  }
}

TEST(ParseAges, TakesGrowingDurations) {
  EXPECT_EQ(parse_ages("5m, 1h")->size(), 2u);
  for (const char* wrong : {"", "5m,", "1h,5m", "5m,5m", "0s", "soon"}) {
    EXPECT_FALSE(parse_ages(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace mansio::admin
