// The contract of spool.h, for every backend. Names with slimta_NN are acceptance cases.
#include <stdexcept>

#include "spool/contract_fixture.h"

namespace mansio::spool {
namespace {

using namespace std::chrono_literals;
using testing::Test;

// ---- storing and reading back -----------------------------------------------------------------

TEST_P(SpoolContract, slimta_30_WhatIsWrittenIsReadBackAlsoAfterARestart) {
  Admit given = make_admit({"a@x.example", "b@y.example"});
  Message& message = given.message;
  message.envelope.origin = {"ESMTP", "192.0.2.1:99", "client", "TLSv1.3", "user"};
  message.envelope.envelope_id = "id+20";
  message.envelope.dsn_return = DsnReturn::full;
  message.envelope.recipients[1].notify = {true, false, true, true, false};
  message.envelope.recipients[1].original_recipient = "rfc822;b@z";
  message.campaign = "spring";
  message.klass = PriorityClass::high;
  std::string body("Subject: x\r\n\r\n");
  for (int i = 0; i < 256; ++i) body.push_back(static_cast<char>(i));
  set_content(message, body);
  given.due[1] = now() + 90s;
  const QueueId id = admit(given);

  for (int opening = 0; opening < 2; ++opening) {
    const StoredMessagePtr stored = get(id);
    ASSERT_NE(stored, nullptr);
    EXPECT_EQ(stored->message.envelope, message.envelope);
    EXPECT_EQ(stored->message.lanes, message.lanes);
    EXPECT_EQ(stored->message.content.id, message.content.id);
    EXPECT_EQ(stored->message.content.facts, message.content.facts);
    EXPECT_EQ(stored->message.content.octets, nullptr);
    EXPECT_EQ(stored->message.accepted_at, message.accepted_at);
    EXPECT_EQ(stored->message.expires_at, message.expires_at);
    EXPECT_EQ(stored->message.campaign, "spring");
    EXPECT_EQ(stored->message.klass, PriorityClass::high);
    ASSERT_EQ(stored->recipients.size(), 2u);
    EXPECT_EQ(stored->recipients[0].due, given.due[0]);
    EXPECT_EQ(stored->recipients[1].due, given.due[1]);
    EXPECT_EQ(stored->recipients[1].state, RecipientState::queued);
    EXPECT_EQ(stored->recipients[1].tries, 0u);
    EXPECT_EQ(content(id).value(), body);
    EXPECT_EQ(content(id, 10, 5).value(), body.substr(10, 5));
    EXPECT_EQ(content(id, body.size() - 2, 100).value(), body.substr(body.size() - 2));
    EXPECT_EQ(content(id, body.size() + 7, 1).value(), "");
    const auto lines = history(id);
    ASSERT_TRUE(lines.has_value());
    ASSERT_EQ(lines->size(), 1u);
    EXPECT_EQ(lines->front().kind, EventKind::accepted);
    EXPECT_EQ(lines->front().at, message.accepted_at);
    restart();
  }
}

TEST_P(SpoolContract, ContentWrittenAheadIsAdmittedOnceItIsSealed) {
  std::string octets = "Subject: large\r\n\r\n";
  Admit given = make_admit({"a@x.example"});
  const QueueId content_id = new_id();
  auto writer = spool().open_content(content_id);
  std::string body = octets;
  ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->append(octets, done); }));
  for (int i = 0; i < 20; ++i) {
    const std::string piece(50'000, static_cast<char>('a' + i));
    body += piece;
    ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->append(piece, done); }));
  }
  ContentScanner scanner;
  scanner.feed(body);
  given.message.content = {content_id, scanner.finish(), nullptr};
  EXPECT_EQ(commit(given).status, Status::refused);  // not sealed
  ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->seal(done); }));
  writer.reset();
  const QueueId id = admit(given);
  EXPECT_EQ(content(id).value(), body);
  EXPECT_EQ(content(id, 100'000, 20).value(), body.substr(100'000, 20));
  crash();
  open();
  EXPECT_EQ(content(id).value(), body);
  settle(id, {outcome(0, Outcome::delivered)});
  EXPECT_EQ(content(id).error(), make_error_code(Errc::missing));
}

TEST_P(SpoolContract, SealedContentIsDiscardedUnlessAMessageUsesIt) {
  Admit given = make_admit({"a@x.example"});
  const auto octets = *given.message.content.octets;
  const auto seal = [&] {
    auto writer = spool().open_content(given.message.content.id);
    ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->append(octets, done); }));
    ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->seal(done); }));
  };
  given.message.content.octets = nullptr;
  seal();
  spool().discard_content(given.message.content.id);
  EXPECT_EQ(commit(given).status, Status::refused);
  given.message.content.id = new_id();
  seal();
  const QueueId id = admit(given);
  spool().discard_content(given.message.content.id);
  spool().discard_content(new_id());
  EXPECT_EQ(commit(given).status, Status::committed);
  EXPECT_EQ(content(id).value(), octets);
  restart();
  EXPECT_EQ(content(id).value(), octets);
}

TEST_P(SpoolContract, ContentThatIsNeverSealedIsDiscarded) {
  Admit given = make_admit({"a@x.example"});
  const auto octets = *given.message.content.octets;
  auto writer = spool().open_content(given.message.content.id);
  ASSERT_TRUE(wait_for_read<void>([&](auto done) { writer->append(octets, done); }));
  writer.reset();
  given.message.content.octets = nullptr;
  EXPECT_EQ(commit(given).status, Status::refused);
  EXPECT_EQ(totals(), Totals{});
}

TEST_P(SpoolContract, AdmittingTheSameTwiceChangesNothing) {
  const Admit given = make_admit({"a@x.example", "b@x.example"});
  admit(given);
  advance(1s);
  const Answer again = commit(given);
  EXPECT_EQ(again.status, Status::committed);
  EXPECT_EQ(again.changed, 0u);
  EXPECT_EQ(again.recipients_left, 2u);
  settle(given.message.id, {outcome(0, Outcome::delivered)});
  EXPECT_EQ(commit(given).status, Status::committed);
  EXPECT_EQ(status(given.message.id, 0).state, RecipientState::delivered);
  EXPECT_EQ(totals().accepted, 2u);
  EXPECT_EQ(history(given.message.id)->size(), 2u);
}

TEST_P(SpoolContract, slimta_36_AnIdInUseByOtherMailIsRefusedAndNothingIsOverwritten) {
  const Admit first = make_admit({"a@x.example"}, "first");
  admit(first);
  Admit second = make_admit({"b@y.example"}, "second");
  second.message.id = first.message.id;
  EXPECT_EQ(commit(second).status, Status::refused);
  EXPECT_EQ(get(first.message.id)->message.envelope, first.message.envelope);
  EXPECT_EQ(content(first.message.id).value(), *first.message.content.octets);
  EXPECT_EQ(totals().accepted, 1u);
  EXPECT_EQ(lanes().size(), 1u);
}

TEST_P(SpoolContract, slimta_37_AnUnknownIdIsMissingEverywhere) {
  const QueueId id = new_id();
  EXPECT_EQ(get(id), nullptr);
  EXPECT_EQ(content(id).error(), make_error_code(Errc::missing));
  EXPECT_EQ(history(id).error(), make_error_code(Errc::missing));
  EXPECT_EQ(settle(id, {outcome(0, Outcome::delivered)}).status, Status::missing);
  EXPECT_EQ(change(id, Verb::hold).status, Status::missing);
  Renew renew;
  renew.id = id;
  renew.epoch = 1;
  EXPECT_EQ(commit(renew).status, Status::missing);
  const std::vector<QueueId> ids{id, admit_for({"a@x.example"}), new_id()};
  const auto found =
      wait_for_read<std::vector<StoredMessagePtr>>([&](auto done) { spool().get(ids, done); });
  EXPECT_EQ(found->size(), 1u);
}

TEST_P(SpoolContract, slimta_38_ASinkThatFailsDoesNotFailTheWrite) {
  class FailingSink final : public CompletionSink {
   public:
    void completed(std::vector<Answer> answers) override {
      status.set_value(answers.at(0).status);
      throw std::runtime_error("nobody listens");
    }

    std::promise<Status> status;
  };

  FailingSink sink;
  const Admit given = make_admit({"a@x.example"});
  std::vector<Request> requests;
  requests.push_back({7, given});
  spool().submit(std::move(requests), sink);
  EXPECT_EQ(sink.status.get_future().get(), Status::committed);
  EXPECT_NE(get(given.message.id), nullptr);
  admit_for({"b@x.example"});
  restart();
  EXPECT_NE(get(given.message.id), nullptr);
  EXPECT_EQ(totals().messages, 2u);
}

TEST_P(SpoolContract, GivesTheOperationBackWithItsAnswer) {
  const Admit given = make_admit({"a@x.example"});
  const Answer taken = commit(given);
  EXPECT_EQ(taken.status, Status::committed);
  ASSERT_NE(taken.operation, nullptr);
  const auto& back = std::get<Admit>(*taken.operation);
  EXPECT_EQ(back.message.id, given.message.id);
  EXPECT_EQ(back.message.envelope, given.message.envelope);
  EXPECT_EQ(back.message.content.octets, given.message.content.octets);
  EXPECT_EQ(back.due, given.due);
  const Answer refused = commit(make_admit({}));
  EXPECT_EQ(refused.status, Status::refused);
  EXPECT_NE(refused.operation, nullptr);
}

TEST_P(SpoolContract, slimta_66_AnAdmitThatFailsLeavesNothingOfAnyLane) {
  Admit unsealed = make_admit({"a@x.example", "b@y.example", "c@z.example"});
  unsealed.message.content.octets = nullptr;
  Admit short_of_due = make_admit({"a@x.example", "b@y.example"});
  short_of_due.due.pop_back();
  Admit nobody = make_admit({});
  const Admit good = make_admit({"d@good.example"});
  const auto answers = commit_all({unsealed, short_of_due, good, nobody});
  EXPECT_EQ(answers[0].status, Status::refused);
  EXPECT_EQ(answers[1].status, Status::refused);
  EXPECT_EQ(answers[2].status, Status::committed);
  EXPECT_EQ(answers[3].status, Status::refused);
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(get(unsealed.message.id), nullptr);
    EXPECT_EQ(get(short_of_due.message.id), nullptr);
    EXPECT_FALSE(history(unsealed.message.id).has_value());
    EXPECT_EQ(totals().accepted, 1u);
    ASSERT_EQ(lanes().size(), 1u);
    EXPECT_EQ(lanes()[0].lane.destination, "good.example");
    EXPECT_EQ(flows().size(), 1u);
    EXPECT_EQ(all_events().size(), 1u);
    restart();
  }
}

// ---- outcomes ---------------------------------------------------------------------------------

TEST_P(SpoolContract, slimta_32_TriesCountAndLocalTroubleDoesNot) {
  const QueueId id = admit_for({"a@x.example"});
  for (std::uint32_t round = 1; round <= 2; ++round) {
    advance(1min);
    const Answer answer = settle(id, {outcome(0, Outcome::deferred, now() + 15min)});
    EXPECT_EQ(answer.status, Status::committed);
    EXPECT_EQ(answer.changed, 1u);
    EXPECT_EQ(answer.recipients_left, 1u);
    const RecipientStatus after = status(id, 0);
    EXPECT_EQ(after.tries, round);
    EXPECT_EQ(after.retry_count, round);
    EXPECT_EQ(after.last_attempt, now());
    EXPECT_EQ(after.due, now() + 15min);
    EXPECT_EQ(after.last.reply.code, 451);
  }
  RecipientOutcome local = outcome(0, Outcome::deferred, now() + 5min);
  local.disposition.counts_as_try = false;
  local.disposition.cause = Cause::local;
  settle(id, {local});
  EXPECT_EQ(status(id, 0).tries, 2u);
  EXPECT_EQ(status(id, 0).retry_count, 3u);
  const auto lines = history(id);
  ASSERT_EQ(lines->size(), 4u);
  EXPECT_EQ(lines->at(2).kind, EventKind::deferred);
  EXPECT_EQ(lines->at(2).attempt, 2u);
  EXPECT_EQ(lines->at(2).recipient_address, "a@x.example");
  EXPECT_EQ(lines->at(3).next_due, now() + 5min);
  EXPECT_LT(lines->at(2).seq, lines->at(3).seq);
}

TEST_P(SpoolContract, slimta_33_FinishedRecipientsAreNotOfferedAgain) {
  const Admit given = make_admit({"a@x.example", "b@x.example", "c@x.example", "d@x.example"});
  const QueueId id = admit(given);
  const Answer answer = settle(id, {outcome(0, Outcome::delivered), outcome(2, Outcome::failed)});
  EXPECT_EQ(answer.recipients_left, 2u);
  for (int opening = 0; opening < 2; ++opening) {
    const auto entries = due_entries_of(flow_key(given.message));
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].recipients, (std::vector<std::uint32_t>{1, 3}));
    ASSERT_NE(entries[0].message, nullptr);
    EXPECT_EQ(entries[0].message->recipients[0].state, RecipientState::delivered);
    EXPECT_EQ(entries[0].message->recipients[0].tries, 1u);
    restart();
  }
}

TEST_P(SpoolContract, slimta_57_FourRecipientsInFourRoundsAreEachMailedOnce) {
  const std::vector<std::string> addresses{"a@x.example", "b@x.example", "c@x.example",
                                           "d@x.example"};
  const Admit given = make_admit(addresses);
  const QueueId id = admit(given);
  std::map<std::string, int> mailed;
  for (const std::uint32_t succeeds : {0u, 2u, 1u, 3u}) {
    const auto entries = due_entries_of(flow_key(given.message));
    ASSERT_EQ(entries.size(), 1u);
    std::vector<RecipientOutcome> outcomes;
    for (const std::uint32_t index : entries[0].recipients) {
      const bool ok = index == succeeds;
      if (ok) ++mailed[entries[0].message->message.envelope.recipients[index].address.to_string()];
      outcomes.push_back(ok ? outcome(index, Outcome::delivered)
                            : outcome(index, Outcome::deferred, now() + 1min));
    }
    EXPECT_EQ(settle(id, outcomes).changed, outcomes.size());
    advance(1min);
    restart();
  }
  for (const std::string& address : addresses) EXPECT_EQ(mailed[address], 1) << address;
  EXPECT_EQ(get(id), nullptr);
  EXPECT_EQ(totals().delivered, 4u);
  EXPECT_EQ(totals().queued, 0u);
}

TEST_P(SpoolContract, slimta_64_MailMadeDueByHandIsScheduledAgainAfterATemporaryFailure) {
  const Admit given = make_admit({"a@x.example"});
  const QueueId id = admit(given);
  settle(id, {outcome(0, Outcome::deferred, now() + 4h)});
  EXPECT_EQ(change(id, Verb::make_due).changed, 1u);
  EXPECT_EQ(due_entries_of(flow_key(given.message)).at(0).due, now());
  settle(id, {outcome(0, Outcome::deferred, now() + 2h)});
  const auto entries = due_entries_of(flow_key(given.message));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].due, now() + 2h);
}

TEST_P(SpoolContract, slimta_65_RefusedRecipientsKeepTheReplyThatEachOfThemGot) {
  const QueueId id = admit_for({"a@x.example", "b@x.example", "c@x.example"});
  settle(id, {outcome(0, Outcome::failed, {}, 550), outcome(1, Outcome::failed, {}, 552),
              outcome(2, Outcome::deferred, now() + 1h, 450)});
  EXPECT_EQ(status(id, 0).last.reply.code, 550);
  EXPECT_EQ(status(id, 1).last.reply.code, 552);
  EXPECT_EQ(status(id, 2).last.reply.code, 450);
  const auto lines = history(id);
  ASSERT_EQ(lines->size(), 4u);
  EXPECT_EQ(lines->at(1).disposition.reply.text, "reply 550");
  EXPECT_EQ(lines->at(2).disposition.reply.text, "reply 552");
  EXPECT_EQ(lines->at(3).disposition.reply.text, "reply 450");
}

TEST_P(SpoolContract, ASecondOutcomeIsRefusedAndTheOthersAreApplied) {
  const QueueId id = admit_for({"a@x.example", "b@x.example"});
  settle(id, {outcome(0, Outcome::delivered)});
  const Answer none = settle(id, {outcome(0, Outcome::failed)});
  EXPECT_EQ(none.status, Status::refused);
  EXPECT_EQ(none.changed, 0u);
  EXPECT_NE(none.detail.find("already delivered"), std::string::npos) << none.detail;
  EXPECT_EQ(settle(id, {outcome(9, Outcome::delivered)}).status, Status::refused);
  EXPECT_EQ(settle(id, {}).status, Status::refused);
  const Answer some = settle(
      id, {outcome(0, Outcome::deferred, now() + 1h), outcome(1, Outcome::deferred, now() + 1h)});
  EXPECT_EQ(some.status, Status::committed);
  EXPECT_EQ(some.changed, 1u);
  EXPECT_NE(some.detail.find("already delivered"), std::string::npos) << some.detail;
  EXPECT_EQ(status(id, 0).state, RecipientState::delivered);
  EXPECT_EQ(status(id, 1).state, RecipientState::queued);
  EXPECT_EQ(totals().delivered, 1u);
  EXPECT_EQ(totals().failed, 0u);
}

TEST_P(SpoolContract, AnOutcomeComesInForARecipientThatWasStoppedInFlight) {
  const QueueId id = admit_for({"a@x.example", "b@x.example", "c@x.example", "d@x.example"});
  change(id, Verb::hold, {0, 1});
  change(id, Verb::mark_in_doubt, {2});
  change(id, Verb::remove, {3});
  settle(id, {outcome(0, Outcome::deferred, now() + 1h), outcome(1, Outcome::delivered),
              outcome(2, Outcome::delivered), outcome(3, Outcome::delivered)});
  EXPECT_EQ(status(id, 0).state, RecipientState::held);
  EXPECT_EQ(status(id, 0).tries, 1u);
  EXPECT_EQ(status(id, 1).state, RecipientState::delivered);
  EXPECT_EQ(status(id, 2).state, RecipientState::delivered);
  EXPECT_EQ(status(id, 3).state, RecipientState::removed);
  EXPECT_TRUE(all_due().empty());
  EXPECT_EQ(totals().held, 1u);
}

TEST_P(SpoolContract, ANoticeIsPartOfTheOutcomeAndComesOnce) {
  const QueueId id = admit_for({"a@x.example", "b@x.example"});
  Settle failing = make_settle(id, {outcome(0, Outcome::failed)});
  Admit notice = make_admit({"sender@example.org"}, "notice");
  notice.message.envelope.reverse_path = {};
  notice.message.is_notice = true;
  failing.notices.push_back(notice);
  EXPECT_EQ(commit(failing).status, Status::committed);
  crash();
  open();
  ASSERT_NE(get(notice.message.id), nullptr);
  EXPECT_TRUE(get(notice.message.id)->message.is_notice);
  EXPECT_EQ(content(notice.message.id).value(), *notice.message.content.octets);
  EXPECT_EQ(totals().accepted, 3u);

  // The same once more, with a notice of another id: refused, and so is its notice.
  Settle again = failing;
  again.notices[0].message.id = new_id();
  again.notices[0].message.content.id = new_id();
  EXPECT_EQ(commit(again).status, Status::refused);
  EXPECT_EQ(get(again.notices[0].message.id), nullptr);
  EXPECT_EQ(totals().accepted, 3u);

  // By an operator's verb.
  Change fail = make_change(id, Verb::fail);
  fail.notices.push_back(make_admit({"sender@example.org"}, "second notice"));
  EXPECT_EQ(commit(fail).changed, 1u);
  EXPECT_NE(get(fail.notices[0].message.id), nullptr);
  EXPECT_EQ(get(id), nullptr);
  EXPECT_EQ(totals().failed, 2u);
  EXPECT_EQ(totals().queued, 2u);
  const auto lines = history(id);
  EXPECT_EQ(std::count_if(lines->begin(), lines->end(),
                          [](const auto& line) { return line.kind == EventKind::notice; }),
            2);
}

TEST_P(SpoolContract, WhenEverythingIsFinalTheMessageGoesAndItsHistoryStays) {
  const Admit given = make_admit({"a@x.example", "b@y.example"});
  const QueueId id = admit(given);
  settle(id, {outcome(0, Outcome::delivered)});
  const Answer answer = settle(id, {outcome(1, Outcome::expired)});
  EXPECT_EQ(answer.recipients_left, 0u);
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(get(id), nullptr);
    EXPECT_EQ(content(id).error(), make_error_code(Errc::missing));
    EXPECT_EQ(settle(id, {outcome(1, Outcome::delivered)}).status, Status::missing);
    EXPECT_TRUE(lanes().empty());
    EXPECT_TRUE(flows().empty());
    EXPECT_EQ(totals().messages, 0u);
    EXPECT_EQ(totals().octets, 0u);
    EXPECT_EQ(totals().accepted, 2u);
    EXPECT_EQ(totals().expired, 1u);
    const auto lines = history(id);
    ASSERT_TRUE(lines.has_value());
    ASSERT_EQ(lines->size(), 3u);
    EXPECT_EQ(lines->at(0).kind, EventKind::accepted);
    EXPECT_EQ(lines->at(1).kind, EventKind::delivered);
    EXPECT_EQ(lines->at(2).kind, EventKind::expired);
    restart();
  }
}

// ---- operators' verbs -------------------------------------------------------------------------

TEST_P(SpoolContract, slimta_31_ADueTimeCanBeSetAndCountsNothing) {
  const Admit given = make_admit({"a@x.example", "b@x.example"});
  const QueueId id = admit(given);
  Change later = make_change(id, Verb::make_due, {1});
  later.due = now() + 1h;
  EXPECT_EQ(commit(later).changed, 1u);
  for (int opening = 0; opening < 2; ++opening) {
    const auto entries = due_entries_of(flow_key(given.message));
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].recipients, (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(entries[1].recipients, (std::vector<std::uint32_t>{1}));
    EXPECT_EQ(entries[1].due, now() + 1h);
    EXPECT_EQ(status(id, 1).due, now() + 1h);
    EXPECT_EQ(status(id, 1).tries, 0u);
    EXPECT_EQ(status(id, 1).retry_count, 0u);
    restart();
  }
  EXPECT_EQ(history(id)->back().kind, EventKind::retried);
  EXPECT_EQ(history(id)->back().actor, "operator root");
  EXPECT_EQ(history(id)->back().reason, "a test");
}

TEST_P(SpoolContract, HeldRecipientsHaveNoDueEntryUntilTheyAreReleased) {
  const Admit given = make_admit({"a@x.example", "b@x.example"});
  const QueueId id = admit(given);
  EXPECT_EQ(change(id, Verb::hold, {1}).changed, 1u);
  const Answer again = change(id, Verb::hold);
  EXPECT_EQ(again.status, Status::committed);
  EXPECT_EQ(again.changed, 1u);
  EXPECT_EQ(change(id, Verb::hold).changed, 0u);
  EXPECT_EQ(change(id, Verb::make_due).changed, 0u);
  EXPECT_TRUE(flows().empty());
  ASSERT_EQ(lanes().size(), 1u);
  EXPECT_EQ(lanes()[0].queued, 2u);
  EXPECT_EQ(lanes()[0].held, 2u);
  restart();
  EXPECT_TRUE(flows().empty());
  EXPECT_EQ(totals().held, 2u);
  advance(1h);
  EXPECT_EQ(change(id, Verb::release, {0}).changed, 1u);
  const auto entries = due_entries_of(flow_key(given.message));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].due, now());
  EXPECT_EQ(entries[0].recipients, (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(totals().held, 1u);
  EXPECT_EQ(totals().queued, 2u);
}

TEST_P(SpoolContract, EachVerbTakesTheStatesThatItIsFor) {
  const QueueId id = admit_for({"a@x.example", "b@x.example", "c@x.example", "d@x.example",
                                "e@x.example", "f@x.example", "g@x.example"});
  EXPECT_EQ(change(id, Verb::fail, {0}).changed, 1u);
  EXPECT_EQ(change(id, Verb::remove, {1}).changed, 1u);
  EXPECT_EQ(change(id, Verb::expire, {2}).changed, 1u);
  EXPECT_EQ(change(id, Verb::move, {3}).changed, 1u);
  EXPECT_EQ(change(id, Verb::mark_in_doubt, {4}).changed, 1u);
  EXPECT_EQ(change(id, Verb::quarantine, {5}).changed, 1u);
  EXPECT_EQ(change(id, Verb::hold).changed, 2u);  // in doubt and queued
  EXPECT_EQ(change(id, Verb::release, {4, 5}).changed, 2u);
  EXPECT_EQ(change(id, Verb::release).changed, 1u);
  EXPECT_EQ(change(id, Verb::fail, {0, 1, 2, 3}).changed, 0u);
  EXPECT_EQ(change(id, Verb::fail, {12}).status, Status::refused);
  EXPECT_EQ(status(id, 0).last.cause, Cause::operator_);
  EXPECT_EQ(status(id, 0).last.outcome, Outcome::failed);
  const Totals sums = totals();
  EXPECT_EQ(sums.failed, 1u);
  EXPECT_EQ(sums.removed, 1u);
  EXPECT_EQ(sums.expired, 1u);
  EXPECT_EQ(sums.moved, 1u);
  EXPECT_EQ(sums.queued, 3u);
  EXPECT_EQ(sums.held + sums.in_doubt + sums.quarantined, 0u);
}

TEST_P(SpoolContract, ADelayIsToldAsOneWithItsNoticeAndChangesNoDueTime) {
  const Admit given = make_admit({"a@x.example", "b@x.example", "c@x.example"});
  const QueueId id = admit(given);
  settle(id, {outcome(1, Outcome::delivered), outcome(0, Outcome::deferred, now() + 1h)});
  const auto due = all_due();
  const std::size_t events = all_events().size();
  Change told = make_change(id, Verb::report_delay);
  told.due = now() + 9h;
  told.notices.push_back(make_admit({"sender@example.org"}));
  told.notices[0].message.is_notice = true;
  told.notices[0].due[0] = now() + 5h;
  const Answer answer = commit(told);
  EXPECT_EQ(answer.status, Status::committed) << answer.detail;
  EXPECT_EQ(answer.changed, 2u);
  EXPECT_EQ(answer.recipients_left, 2u);
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(status(id, 0).delay_notices, 1u);
    EXPECT_EQ(status(id, 0).tries, 1u);
    EXPECT_EQ(status(id, 0).due, now() + 1h);
    EXPECT_EQ(status(id, 1).delay_notices, 0u);
    EXPECT_EQ(status(id, 2).delay_notices, 1u);
    EXPECT_NE(get(told.notices[0].message.id), nullptr);
    auto expected = due;
    expected[{told.notices[0].message.id, 0}] = now() + 5h;
    EXPECT_EQ(all_due(), expected);
    EXPECT_EQ(totals().queued, 3u);
    crash();
    open();
  }
  const auto fresh = all_events(events + 1);
  ASSERT_EQ(fresh.size(), 4u);  // two recipients, the notice, and its acceptance
  EXPECT_EQ(fresh[0].entry.kind, EventKind::notice);
  EXPECT_EQ(fresh[0].entry.recipient, 0u);
  EXPECT_EQ(fresh[1].entry.recipient, 2u);
  EXPECT_EQ(fresh[2].entry.kind, EventKind::notice);
  EXPECT_EQ(fresh[2].entry.reason, told.notices[0].message.id.to_string());
  EXPECT_EQ(change(id, Verb::report_delay, {1}).changed, 0u);  // it is final
  EXPECT_EQ(change(id, Verb::report_delay, {2}).changed, 1u);
  EXPECT_EQ(status(id, 2).delay_notices, 2u);
}

TEST_P(SpoolContract, SuspensionsHoldAcrossRestartsUntilSomebodyResumesThem) {
  Suspension one{"x.example", "", now(), {}, "too many complaints", "operator root"};
  Suspension two{"*.slow.example", "bulk", now(), now() + 1h, "", "operator root"};
  EXPECT_TRUE(spool().suspensions().empty());
  EXPECT_EQ(commit(Suspend{one, true}).status, Status::missing);
  EXPECT_EQ(commit(Suspend{one, false}).status, Status::committed);
  EXPECT_EQ(commit(Suspend{two, false}).status, Status::committed);
  one.until = now() + 2h;
  EXPECT_EQ(commit(Suspend{one, false}).status, Status::committed);
  EXPECT_EQ(commit(Suspend{Suspension{}, false}).status, Status::refused);
  const std::vector<Suspension> both{two, one};
  EXPECT_EQ(spool().suspensions(), both);
  crash();
  open();
  EXPECT_EQ(spool().suspensions(), both);
  restart();
  EXPECT_EQ(spool().suspensions(), both);
  EXPECT_EQ(commit(Suspend{two, true}).status, Status::committed);
  EXPECT_EQ(commit(Suspend{two, true}).status, Status::missing);
  crash();
  open();
  EXPECT_EQ(spool().suspensions(), std::vector<Suspension>{one});
  advance(9h);
  restart();
  EXPECT_EQ(spool().suspensions().size(), 1u);  // what is over is the queue's to end
  EXPECT_EQ(totals(), Totals{});
  EXPECT_TRUE(all_events().empty());
}

TEST_P(SpoolContract, WhatIsLearnedLaterIsAddedToTheHistoryAlsoOfMailThatHasGone) {
  const QueueId waiting = admit_for({"a@x.example", "b@y.example"});
  const QueueId gone = admit_for({"a@x.example"});
  settle(gone, {outcome(0, Outcome::delivered)});
  const Totals before = totals();
  const auto due = all_due();
  Record note;
  note.at = now();
  note.recipient = 1;
  note.recipient_address = "b@y.example";
  note.tenant = "default";
  note.disposition = outcome(0, Outcome::failed).disposition;
  note.reason = "a notice of mx.example";
  note.actor = "bounces";
  EXPECT_EQ(commit(note).status, Status::refused);  // names no message
  note.id = waiting;
  EXPECT_EQ(commit(note).status, Status::committed);
  note.recipient = 2;
  EXPECT_EQ(commit(note).status, Status::refused);
  note.recipient = 0;
  note.id = gone;
  EXPECT_EQ(commit(note).changed, 0u);
  note.recipient.reset();
  note.id = new_id();  // never here, or long forgotten
  EXPECT_EQ(commit(note).status, Status::committed);
  for (int opening = 0; opening < 2; ++opening) {
    ASSERT_EQ(history(waiting)->size(), 2u);
    const HistoryEntry entry = history(waiting)->back();
    EXPECT_EQ(entry.kind, EventKind::bounced);
    EXPECT_EQ(entry.recipient, 1u);
    EXPECT_EQ(entry.recipient_address, "b@y.example");
    EXPECT_EQ(entry.disposition, note.disposition);
    EXPECT_EQ(entry.reason, "a notice of mx.example");
    EXPECT_EQ(entry.actor, "bounces");
    ASSERT_EQ(history(gone)->size(), 3u);
    EXPECT_EQ(history(gone)->back().kind, EventKind::bounced);
    EXPECT_EQ(history(note.id)->size(), 1u);
    EXPECT_EQ(get(gone), nullptr);
    EXPECT_EQ(totals(), before);
    EXPECT_EQ(all_due(), due);
    EXPECT_EQ(all_events().size(), 6u);
    crash();
    open();
  }
  EXPECT_EQ(all_events()[3].lane.destination, "y.example");
}

TEST_P(SpoolContract, slimta_35_RemovingToleratesMissingParts) {
  const QueueId whole = admit_for({"a@x.example"});
  const QueueId damaged = admit_for({"b@x.example"});
  close_cleanly();
  backend().corrupt_content(damaged);
  open();
  EXPECT_EQ(content(damaged).error(), make_error_code(Errc::corrupt));
  EXPECT_EQ(change(damaged, Verb::remove).changed, 1u);
  EXPECT_EQ(change(damaged, Verb::remove).status, Status::missing);
  EXPECT_EQ(get(damaged), nullptr);
  EXPECT_NE(get(whole), nullptr);
  EXPECT_EQ(totals().removed, 1u);
}

// ---- damage -----------------------------------------------------------------------------------

TEST_P(SpoolContract, slimta_62_ADamagedRecordInTheMiddleKeepsNothingElseFromLoading) {
  std::vector<QueueId> ids;
  for (int i = 0; i < 9; ++i) ids.push_back(admit_for({"a@x.example", "b@y.example"}));
  close_cleanly();
  backend().corrupt_record(ids[4]);
  open();
  Selector everything;
  everything.everything = true;
  std::vector<QueueId> others = ids;
  others.erase(others.begin() + 4);
  EXPECT_EQ(list_ids(everything, 3), others);
  EXPECT_EQ(get(ids[4]), nullptr);
  EXPECT_EQ(settle(ids[4], {outcome(0, Outcome::delivered)}).status, Status::corrupt);
  EXPECT_EQ(change(ids[4], Verb::remove).status, Status::corrupt);
  std::set<QueueId> due;
  for (const FlowSummary& flow : flows()) {
    for (const DueEntry& entry : due_entries_of(flow.flow, 2)) due.insert(entry.id);
  }
  EXPECT_EQ(due, std::set<QueueId>(others.begin(), others.end()));
  for (const QueueId& id : others) {
    EXPECT_EQ(settle(id, {outcome(0, Outcome::delivered), outcome(1, Outcome::delivered)}).changed,
              2u);
  }
  EXPECT_EQ(totals().accepted, 18u);
  EXPECT_EQ(totals().queued, 2u);  // nothing unreadable is given up
}

TEST_P(SpoolContract, DamagedContentIsQuarantinedAndNeverReturned) {
  const QueueId id = admit_for({"a@x.example", "b@x.example"});
  close_cleanly();
  backend().corrupt_content(id);
  open();
  EXPECT_EQ(content(id).error(), make_error_code(Errc::corrupt));
  admit_for({"c@z.example"});  // applied after the quarantine
  EXPECT_EQ(status(id, 0).state, RecipientState::quarantined);
  EXPECT_EQ(status(id, 1).state, RecipientState::quarantined);
  EXPECT_EQ(totals().quarantined, 2u);
  EXPECT_EQ(flows().size(), 1u);
  EXPECT_EQ(history(id)->back().kind, EventKind::quarantined);
  EXPECT_EQ(content(id).error(), make_error_code(Errc::corrupt));
}

// ---- restarts ---------------------------------------------------------------------------------

TEST_P(SpoolContract, slimta_61_MailStoredBeforeItsFirstAttemptIsDueAfterACrash) {
  const Admit given = make_admit({"a@x.example"});
  const QueueId id = admit(given);
  crash();
  open();
  const auto entries = due_entries_of(flow_key(given.message));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].id, id);
  EXPECT_LE(entries[0].due, now());
}

TEST_P(SpoolContract, RestartsAndCrashesChangeNoCountNoTimeAndNoHistory) {
  const QueueId id = admit_for({"a@x.example", "b@x.example", "c@y.example", "d@y.example"});
  settle(id, {outcome(0, Outcome::deferred, now() + 15min), outcome(1, Outcome::delivered)});
  advance(3min);
  settle(id, {outcome(0, Outcome::deferred, now() + 30min)});
  change(id, Verb::hold, {2});
  change(id, Verb::mark_in_doubt, {3});
  const StoredMessagePtr before = get(id);
  const auto history_before = history(id);
  const Totals totals_before = totals();
  const auto due_before = all_due();
  const auto events_before = all_events();
  for (int i = 0; i < 3; ++i) {
    i == 1 ? crash() : close_cleanly();
    open();
    const StoredMessagePtr after = get(id);
    ASSERT_NE(after, nullptr);
    EXPECT_EQ(after->recipients, before->recipients);
    EXPECT_EQ(after->epoch, before->epoch);
    EXPECT_EQ(totals(), totals_before);
    EXPECT_EQ(all_due(), due_before);
    const auto history_after = history(id);
    ASSERT_EQ(history_after->size(), history_before->size());
    for (std::size_t line = 0; line < history_after->size(); ++line) {
      const HistoryEntry& a = history_after->at(line);
      const HistoryEntry& b = history_before->at(line);
      EXPECT_EQ(a.seq, b.seq);
      EXPECT_EQ(a.at, b.at);
      EXPECT_EQ(a.kind, b.kind);
      EXPECT_EQ(a.recipient, b.recipient);
      EXPECT_EQ(a.attempt, b.attempt);
      EXPECT_EQ(a.disposition, b.disposition);
      EXPECT_EQ(a.next_due, b.next_due);
      EXPECT_EQ(a.reason, b.reason);
      EXPECT_EQ(a.actor, b.actor);
    }
    EXPECT_EQ(all_events().size(), events_before.size());
  }
}

TEST_P(SpoolContract, AttemptsCutShortByACrashAreInDoubt) {
  const QueueId id = admit_for({"a@x.example", "b@x.example", "c@x.example"});
  const QueueId finished = admit_for({"d@x.example"});
  const std::vector<std::uint32_t> all{0, 1, 2};
  const std::vector<std::uint32_t> first{0};
  EXPECT_TRUE(spool().take_in_doubt().empty());
  auto cut_short = spool().mark_attempt(id, all, 1, true);
  auto with_outcome = spool().mark_attempt(finished, first, 1, false);
  spool().mark_attempt(id, first, 1, false).reset();
  settle(id, {outcome(1, Outcome::delivered)});
  settle(finished, {outcome(0, Outcome::deferred, now() + 1h)});
  crash();
  open();
  const std::vector<InDoubt> found = spool().take_in_doubt();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, id);
  EXPECT_EQ(found[0].recipients, (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(found[0].attempt, 1u);
  EXPECT_TRUE(spool().take_in_doubt().empty());
  restart();
  EXPECT_TRUE(spool().take_in_doubt().empty());
}

// ---- paging, lanes and flows ------------------------------------------------------------------

TEST_P(SpoolContract, DueEntriesComeInOrderPageByPage) {
  SeededRandom random(seed);
  std::set<std::pair<Time, QueueId>> expected;
  FlowKey flow;
  std::vector<Operation> operations;
  for (int i = 0; i < 120; ++i) {
    Admit given = make_admit({"a@x.example"});
    given.due[0] = now() + std::chrono::seconds(random.below(30));
    expected.emplace(given.due[0], given.message.id);
    flow = flow_key(given.message);
    operations.push_back(std::move(given));
  }
  for (const Answer& answer : commit_all(std::move(operations))) {
    ASSERT_EQ(answer.status, Status::committed);
  }
  for (const std::size_t limit : {1u, 7u, 40u, 120u, 500u}) {
    std::vector<std::pair<Time, QueueId>> seen;
    for (const DueEntry& entry : due_entries_of(flow, limit))
      seen.emplace_back(entry.due, entry.id);
    EXPECT_TRUE(std::equal(seen.begin(), seen.end(), expected.begin(), expected.end()))
        << "pages of " << limit;
  }
  // A cursor stays good when its entry is gone, and does not show what came before it.
  const auto page = due_page(flow, std::nullopt, 10);
  ASSERT_EQ(page->entries.size(), 10u);
  EXPECT_FALSE(page->end);
  const DueEntry& last = page->entries.back();
  settle(last.id, {outcome(0, Outcome::delivered)});
  settle(page->entries[0].id, {outcome(0, Outcome::deferred, now() + 1h)});
  const auto next = due_page(flow, DueCursor{last.due, last.id}, 500);
  EXPECT_EQ(next->entries.size(), 111u);
  EXPECT_EQ(next->entries.back().id, page->entries[0].id);
  EXPECT_TRUE(next->end);
  EXPECT_TRUE(due_page(FlowKey{{"none.example", "default"}, {}, 0}, std::nullopt, 5)->end);
}

TEST_P(SpoolContract, PagesBringContentAlongAsFarAsItIsKept) {
  std::vector<Admit> given;
  for (int i = 0; i < 3; ++i) {
    given.push_back(make_admit({"a@x.example"}, "body " + std::to_string(i)));
    ASSERT_EQ(commit(given.back()).status, Status::committed);
  }
  const FlowKey flow = flow_key(given[0].message);
  EXPECT_EQ(due_page(flow, std::nullopt, 10)->entries.at(0).message->message.content.octets,
            nullptr);
  int room = 2;
  keep_content_ = [&room](std::string octets) {
    return room-- > 0 ? std::make_shared<const std::string>(std::move(octets)) : nullptr;
  };
  const auto page = due_page(flow, std::nullopt, 10);
  ASSERT_EQ(page->entries.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto octets = page->entries[i].message->message.content.octets;
    ASSERT_NE(octets, nullptr);
    EXPECT_EQ(*octets, *given[i].message.content.octets);
  }
  EXPECT_EQ(page->entries[2].message->message.content.octets, nullptr);
  // Only the page has it: what is stored stays on disk.
  EXPECT_EQ(get(given[0].message.id)->message.content.octets, nullptr);
}

TEST_P(SpoolContract, ClassesCampaignsAndBindingsHaveFlowsOfTheirOwn) {
  std::vector<Admit> given;
  for (int i = 0; i < 5; ++i) given.push_back(make_admit({"a@x.example", "b@x.example"}));
  given[1].message.klass = PriorityClass::deadline;
  given[2].message.campaign = "spring";
  given[3].message.tenant = "acme";
  for (LaneKey& lane : given[4].message.lanes) lane.binding = "bulk";
  for (std::size_t i = 0; i < given.size(); ++i) {
    given[i].due.assign(2, now() + std::chrono::minutes(i));
    admit(given[i]);
  }
  EXPECT_EQ(flows(2).size(), 5u);
  EXPECT_EQ(lanes(1).size(), 2u);
  for (const Admit& one : given) {
    const auto entries = due_entries_of(flow_key(one.message));
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].id, one.message.id);
  }
  for (const FlowSummary& flow : flows()) EXPECT_EQ(flow.queued, 2u);
  for (const LaneSummary& lane : lanes()) {
    EXPECT_EQ(lane.queued, lane.lane.binding == "bulk" ? 2u : 8u);
  }
  EXPECT_EQ(all_due().size(), 10u);
}

TEST_P(SpoolContract, slimta_34_ListsAllInPages) {
  std::vector<QueueId> ids;
  for (int i = 0; i < 25; ++i) ids.push_back(admit_for({"a@x.example"}));
  Selector everything;
  everything.everything = true;
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_EQ(list_ids(everything, 10), ids);
    EXPECT_EQ(list_ids(everything, 1), ids);
    EXPECT_EQ(list_ids(everything, 25), ids);
    EXPECT_TRUE(list_ids(Selector{}).empty());
    restart();
  }
}

TEST_P(SpoolContract, AListingSinceATimeBeginsThere) {
  Admit slow = make_admit({"a@x.example"});  // its id is much older than its acceptance
  advance(3h);
  std::vector<QueueId> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(admit_for({"a@x.example"}));
    advance(30min);
  }
  slow.message.accepted_at = now();
  admit(slow);
  Admit arriving = make_admit({"a@x.example"});
  advance(arrival_max);
  arriving.message.accepted_at = now();
  ids.push_back(admit(arriving));
  Selector since;
  since.accepted_since = get(ids[4])->message.accepted_at;
  // The listing seeks: what it would have to look for further back is not found.
  EXPECT_EQ(list_ids(since, 2), std::vector<QueueId>(ids.begin() + 4, ids.end()));
  since.accepted_since = now();
  EXPECT_EQ(list_ids(since, 2), std::vector<QueueId>{ids.back()});
  since.accepted_since = now() + 1us;
  EXPECT_TRUE(list_ids(since, 2).empty());
  since.accepted_since = Time{};
  EXPECT_EQ(list_ids(since, 3).size(), 12u);
  since.ids = {ids[1]};
  EXPECT_EQ(list_ids(since, 3), std::vector<QueueId>{ids[1]});
}

TEST_P(SpoolContract, ABulkVerbGoesOnWhereItsTokenSaysWhileMailComesAndGoes) {
  std::vector<QueueId> ids;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(admit_for({i % 2 == 0 ? "a@even.example" : "a@odd.example", "b@other.example"}));
  }
  Selector even;
  even.destination = "EVEN.example";
  std::string resume;
  std::size_t changed = 0;
  do {
    const auto page = list(even, resume, 3);
    ASSERT_TRUE(page.has_value());
    for (const StoredMessagePtr& message : page->messages) {
      changed += change(message->message.id, Verb::remove, matching(even, *message)).changed;
    }
    resume = page->resume;
    restart();
  } while (!resume.empty());
  EXPECT_EQ(changed, 10u);
  EXPECT_TRUE(list_ids(even).empty());
  Selector other;
  other.destination = "*.example";
  EXPECT_EQ(list_ids(other, 7), ids);
  Selector named;
  named.ids = {ids[7], ids[3], new_id(), ids[3]};
  EXPECT_EQ(list_ids(named, 1), (std::vector<QueueId>{ids[3], ids[7]}));
  EXPECT_FALSE(list(other, "not a token", 5).has_value());
}

TEST_P(SpoolContract, TotalsAreKeptByTenant) {
  Admit acme = make_admit({"a@x.example", "b@x.example"});
  acme.message.tenant = "acme";
  const QueueId first = admit(acme);
  const QueueId second = admit_for({"c@x.example"});
  settle(first, {outcome(0, Outcome::delivered)});
  settle(second, {outcome(0, Outcome::failed)});
  for (int opening = 0; opening < 2; ++opening) {
    Totals expected;
    expected.accepted = 2;
    expected.delivered = 1;
    expected.queued = 1;
    expected.messages = 1;
    expected.octets = acme.message.content.facts.size;
    EXPECT_EQ(totals("acme"), expected);
    EXPECT_EQ(totals("default").accepted, 1u);
    EXPECT_EQ(totals("default").failed, 1u);
    EXPECT_EQ(totals("default").messages, 0u);
    EXPECT_EQ(spool().totals().size(), 2u);
    restart();
  }
}

TEST_P(SpoolContract, EventsComeInOneOrderAndGoOnAfterARestart) {
  const QueueId id = admit_for({"a@x.example", "b@y.example"});
  settle(id, {outcome(0, Outcome::delivered), outcome(1, Outcome::deferred, now() + 1h)});
  restart();
  change(id, Verb::remove);
  const std::vector<Event> events = all_events();
  ASSERT_EQ(events.size(), 4u);
  const EventKind kinds[] = {EventKind::accepted, EventKind::delivered, EventKind::deferred,
                             EventKind::removed};
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].entry.kind, kinds[i]);
    EXPECT_EQ(events[i].entry.seq, i + 1);
    EXPECT_EQ(events[i].id, id);
    EXPECT_EQ(events[i].tenant, "default");
    EXPECT_GT(events[i].size, 0u);
  }
  EXPECT_EQ(events[0].entry.recipient, std::nullopt);
  EXPECT_EQ(events[1].lane.destination, "x.example");
  EXPECT_EQ(events[2].lane.destination, "y.example");
  EXPECT_EQ(events[2].entry.disposition.host, "mx.example");
  EXPECT_EQ(all_events(3).size(), 2u);
}

// ---- leases -----------------------------------------------------------------------------------

class SpoolLeases : public SpoolContract {
 protected:
  Claim make_claim(std::uint32_t limit) {
    Claim claim;
    claim.lane = {"x.example", "default"};
    claim.holder = "program";
    claim.at = now();
    claim.until = now() + 1min;
    claim.limit = limit;
    return claim;
  }

  Answer renew(const QueueId& id, std::uint64_t epoch, Time until) {
    Renew renew;
    renew.id = id;
    renew.epoch = epoch;
    renew.at = now();
    renew.until = until;
    return commit(renew);
  }

  Answer settle_leased(const Claimed& claimed, Outcome what) {
    std::vector<RecipientOutcome> outcomes;
    for (const std::uint32_t index : claimed.recipients) {
      outcomes.push_back(outcome(index, what, now() + 1h));
    }
    Settle settle = make_settle(claimed.id, std::move(outcomes));
    settle.epoch = claimed.epoch;
    return commit(settle);
  }
};

TEST_P(SpoolLeases, ClaimsAreDisjointAndTakeOnlyWhatIsDueInTheLane) {
  std::set<QueueId> due;
  for (int i = 0; i < 10; ++i) due.insert(admit_for({"a@x.example", "b@y.example"}));
  Admit later = make_admit({"a@x.example"});
  later.due[0] = now() + 1s;
  admit(later);
  std::set<QueueId> claimed;
  for (const std::uint32_t limit : {3u, 0u, 4u, 9u, 9u}) {
    const Answer answer = commit(make_claim(limit));
    EXPECT_EQ(answer.status, Status::committed);
    EXPECT_LE(answer.claimed.size(), limit);
    for (const Claimed& one : answer.claimed) {
      EXPECT_TRUE(claimed.insert(one.id).second) << "claimed twice";
      EXPECT_EQ(one.recipients, (std::vector<std::uint32_t>{0}));
      EXPECT_GT(one.epoch, 0u);
    }
  }
  EXPECT_EQ(claimed, due);
}

TEST_P(SpoolLeases, LeasedMailIsLeftOutOfDuePagesUntilTheLeaseEnds) {
  const Admit given = make_admit({"a@x.example", "b@x.example"});
  const QueueId id = admit(given);
  const Claimed claimed = commit(make_claim(1)).claimed.at(0);
  EXPECT_TRUE(due_entries_of(flow_key(given.message)).empty());
  restart();
  EXPECT_TRUE(due_entries_of(flow_key(given.message)).empty());
  EXPECT_TRUE(commit(make_claim(1)).claimed.empty());
  EXPECT_EQ(renew(id, claimed.epoch, now() + 5min).status, Status::committed);
  advance(2min);
  EXPECT_TRUE(due_entries_of(flow_key(given.message)).empty());
  EXPECT_EQ(renew(id, claimed.epoch, now()).status, Status::committed);  // gives it up
  EXPECT_EQ(due_entries_of(flow_key(given.message)).size(), 1u);
}

TEST_P(SpoolLeases, AStaleEpochIsFenced) {
  const QueueId id = admit_for({"a@x.example"});
  const Claimed slow = commit(make_claim(1)).claimed.at(0);
  advance(2min);
  const Claimed fast = commit(make_claim(1)).claimed.at(0);
  EXPECT_GT(fast.epoch, slow.epoch);
  EXPECT_EQ(settle_leased(slow, Outcome::delivered).status, Status::fenced);
  EXPECT_EQ(renew(id, slow.epoch, now() + 1h).status, Status::fenced);
  EXPECT_EQ(renew(id, 0, now() + 1h).status, Status::fenced);
  EXPECT_EQ(status(id, 0).state, RecipientState::queued);
  EXPECT_EQ(status(id, 0).tries, 0u);
  restart();
  EXPECT_EQ(settle_leased(slow, Outcome::delivered).status, Status::fenced);
  EXPECT_EQ(settle_leased(fast, Outcome::delivered).status, Status::committed);
  EXPECT_EQ(get(id), nullptr);
}

TEST_P(SpoolLeases, ALeaseThatIsOverCannotBeRenewedButMailSettledUnderItEndsIt) {
  const Admit given = make_admit({"a@x.example"});
  const QueueId id = admit(given);
  const Claimed late = commit(make_claim(1)).claimed.at(0);
  advance(1min);
  EXPECT_EQ(renew(id, late.epoch, now() + 1h).status, Status::fenced);
  const Claimed claimed = commit(make_claim(1)).claimed.at(0);
  EXPECT_EQ(settle_leased(claimed, Outcome::deferred).changed, 1u);
  const auto entries = due_entries_of(flow_key(given.message));
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].due, now() + 1h);
}

INSTANTIATE_TEST_SUITE_P(Backends, SpoolContract, testing::ValuesIn(contract_backends()),
                         backend_name);
INSTANTIATE_TEST_SUITE_P(Backends, SpoolLeases, testing::ValuesIn(contract_backends()),
                         backend_name);

}  // namespace
}  // namespace mansio::spool
