#include "admin/json.h"

#include <gtest/gtest.h>

#include "admin/openapi.h"

namespace mansio::admin {
namespace {

Time at(int seconds) {
  return Time{} + std::chrono::hours(24 * 365 * 50) + std::chrono::seconds(seconds);
}

/// Two recipients: one deferred by a peer, one delivered.
ListedMessage sample() {
  auto stored = std::make_shared<spool::StoredMessage>();
  Message& message = stored->message;
  message.id = *QueueId::parse("01HZX3J5Q8K2M4N6P7R9S0T1V2");
  message.envelope.reverse_path = Address{"alice", "example.org"};
  message.envelope.recipients.resize(2);
  message.envelope.recipients[0].address = Address{"bob", "b.example"};
  message.envelope.recipients[1].address = Address{"carol", "c.example"};
  message.lanes = {LaneKey{"b.example", "default"}, LaneKey{"c.example", "b1"}};
  message.content.facts.size = 1234;
  message.content.facts.subject = "Hello";
  message.accepted_at = at(0);
  message.expires_at = at(1000);
  stored->recipients.resize(2);
  RecipientStatus& deferred = stored->recipients[0];
  deferred.due = at(60);
  deferred.tries = 2;
  deferred.retry_count = 3;
  deferred.last_attempt = at(10);
  deferred.last.reply.code = 451;
  deferred.last.reply.enhanced = EnhancedCode{4, 3, 0};
  deferred.last.reply.text = "later";
  deferred.last.host = "mx.b.example";
  deferred.last.stage = Stage::rcpt;
  stored->recipients[1].state = RecipientState::delivered;
  ListedMessage listed;
  listed.message = stored;
  listed.states = {LivingState::deferred, LivingState::active};
  listed.matching = {0};
  return listed;
}

std::vector<std::string> names(const Json& object) {
  std::vector<std::string> all;
  for (const auto& [name, value] : object.items()) all.push_back(name);
  return all;
}

TEST(Listing, HasExactlyTheDocumentedFields) {
  const Json json = listed_json(sample());
  EXPECT_EQ(names(json), (std::vector<std::string>{"id", "reverse_path", "size", "accepted_at",
                                                   "tenant", "recipients"}));
  EXPECT_EQ(names(json["recipients"][0]),
            (std::vector<std::string>{"index", "address", "destination", "binding", "state", "due",
                                      "tries", "retry_count", "last_reply"}));
  EXPECT_EQ(names(json["recipients"][0]["last_reply"]),
            (std::vector<std::string>{"code", "enhanced", "text", "host", "stage"}));
}

TEST(Listing, ShowsTheRecipientsThatMatchWithTheirStateOfTheMoment) {
  const Json json = listed_json(sample());
  EXPECT_EQ(json["id"], "01HZX3J5Q8K2M4N6P7R9S0T1V2");
  EXPECT_EQ(json["reverse_path"], "alice@example.org");
  EXPECT_EQ(json["size"], 1234);
  ASSERT_EQ(json["recipients"].size(), 1u);
  const Json& recipient = json["recipients"][0];
  EXPECT_EQ(recipient["address"], "bob@b.example");
  EXPECT_EQ(recipient["state"], "deferred");
  EXPECT_EQ(recipient["due"], to_rfc3339(at(60)));
  EXPECT_EQ(recipient["tries"], 2);
  EXPECT_EQ(recipient["retry_count"], 3);
  EXPECT_EQ(recipient["last_reply"]["code"], 451);
  EXPECT_EQ(recipient["last_reply"]["enhanced"], "4.3.0");
  EXPECT_EQ(recipient["last_reply"]["stage"], "rcpt");
}

TEST(Listing, ShowsTheNullPathAsTheSelectorTakesIt) {
  ListedMessage listed = sample();
  auto stored = std::make_shared<spool::StoredMessage>(*listed.message);
  stored->message.envelope.reverse_path = Address{};
  listed.message = stored;
  EXPECT_EQ(listed_json(listed)["reverse_path"], "<>");
}

TEST(Listing, SurvivesARecordWithFewerLanesThanRecipients) {
  ListedMessage listed = sample();
  auto stored = std::make_shared<spool::StoredMessage>(*listed.message);
  stored->message.lanes.clear();
  listed.message = stored;
  EXPECT_TRUE(listed_json(listed)["recipients"].empty());
  EXPECT_TRUE(message_json(listed)["recipients"].empty());
}

TEST(Message, ShowsEveryRecipientAndFinalStatesByName) {
  const Json json = message_json(sample());
  ASSERT_EQ(json["recipients"].size(), 2u);
  EXPECT_EQ(json["recipients"][1]["state"], "delivered");
  EXPECT_TRUE(json["recipients"][1]["due"].is_null());
  EXPECT_TRUE(json["recipients"][1]["last_reply"].is_null());
  EXPECT_EQ(json["subject"], "Hello");
}

TEST(Message, HasTheFieldsOfItsSchema) {
  const Json schema = response_schemas()["Message"];
  const Json json = message_json(sample());
  EXPECT_EQ(schema["required"].size(), json.size());
  for (const Json& name : schema["required"])
    EXPECT_TRUE(json.contains(name.get<std::string>())) << name;
}

TEST(History, NamesRecipientAttemptAndReply) {
  spool::HistoryEntry entry;
  entry.seq = 7;
  entry.at = at(1);
  entry.kind = spool::EventKind::deferred;
  entry.recipient = 1;
  entry.recipient_address = "bob@b.example";
  entry.attempt = 2;
  entry.disposition.reply.code = 450;
  entry.disposition.stage = Stage::rcpt;
  entry.next_due = at(61);
  const Json json = history_json(entry);
  EXPECT_EQ(json["seq"], 7);
  EXPECT_EQ(json["event"], "deferred");
  EXPECT_EQ(json["recipient"], 1);
  EXPECT_EQ(json["attempt"], 2);
  EXPECT_EQ(json["outcome"], "deferred");
  EXPECT_EQ(json["next_attempt"], to_rfc3339(at(61)));
  const Json schema = response_schemas()["History"]["properties"]["history"]["items"];
  EXPECT_EQ(schema["required"].size(), json.size());
  for (const Json& name : schema["required"])
    EXPECT_TRUE(json.contains(name.get<std::string>())) << name;
}

TEST(History, OfAnEventWithoutAttemptHasNoOutcome) {
  spool::HistoryEntry entry;
  entry.kind = spool::EventKind::accepted;
  const Json json = history_json(entry);
  EXPECT_TRUE(json["recipient"].is_null());
  EXPECT_TRUE(json["outcome"].is_null());
  EXPECT_TRUE(json["reply"].is_null());
}

TEST(Summary, AddsTheTenantsAndSaysWhetherTheyBalance) {
  spool::TenantTotals one;
  one.tenant = "default";
  one.totals.accepted = 3;
  one.totals.delivered = 2;
  one.totals.queued = 1;
  const Json good = summary_json(one.totals, {one}, 1);
  EXPECT_EQ(good["accepted"], 3);
  EXPECT_EQ(good["in_flight"], 1);
  EXPECT_EQ(good["balanced"], true);
  EXPECT_EQ(good["tenants"][0]["tenant"], "default");
  EXPECT_EQ(good["tenants"][0]["queued"], 1);

  // Two errors that cancel out in the sum are errors still.
  spool::TenantTotals low = one;
  low.totals.queued = 0;
  spool::TenantTotals high = one;
  high.totals.queued = 2;
  spool::Totals sum;
  sum.accepted = 6;
  sum.delivered = 4;
  sum.queued = 2;
  EXPECT_EQ(summary_json(sum, {low, high}, 0)["balanced"], false);
}

TEST(Json, ReplacesOctetsThatAreNotUtf8) {
  Json json;
  json["text"] = "caf\xe9 \xff";
  const std::string text = dump(json);
  EXPECT_FALSE(Json::parse(text, nullptr, false).is_discarded());
  EXPECT_EQ(text, "{\"text\":\"caf\xEF\xBF\xBD \xEF\xBF\xBD\"}");
}

TEST(Json, ShowsTimesInUtcAndNeverAsNull) {
  EXPECT_TRUE(time_json(Time{}).is_null());
  EXPECT_TRUE(time_json(std::optional<Time>()).is_null());
  EXPECT_EQ(time_json(Time{} + std::chrono::seconds(1)), "1970-01-01T00:00:01.000Z");
}

TEST(Error, NamesAFieldOnlyWhereOneIsToBlame) {
  EXPECT_EQ(dump(error_json("missing", "no")), R"({"error":{"code":"missing","message":"no"}})");
  EXPECT_EQ(dump(error_json("invalid", "no", "state")),
            R"({"error":{"code":"invalid","message":"no","field":"state"}})");
}

}  // namespace
}  // namespace mansio::admin
