// What is particular to the memory backend: its bounds, and that it holds no lock while it calls
// others. The contract itself is in spool_contract_test.cc.
#include "spool/memory/memory_spool.h"

#include <gtest/gtest.h>

#include <thread>

#include "spool/contract_fixture.h"

namespace mansio::spool {
namespace {

using namespace std::chrono_literals;

class MemorySpoolTest : public testing::Test {
 protected:
  void open(MemorySpoolOptions options) {
    options.now = [this] { return now_; };
    spool_ = make_memory_spool(std::move(options));
  }

  Admit make_admit(std::size_t size = 100) {
    Admit admit;
    Message& message = admit.message;
    message.id = ids_.next(now_);
    Recipient recipient;
    recipient.address = {"user", "x.example"};
    message.envelope.recipients.push_back(recipient);
    message.lanes.push_back({"x.example", "default"});
    admit.due.push_back(now_);
    auto octets = std::make_shared<const std::string>(size, 'x');
    ContentScanner scanner;
    scanner.feed(*octets);
    message.content = {ids_.next(now_), scanner.finish(), octets};
    message.accepted_at = now_;
    return admit;
  }

  Answer commit(Operation operation) {
    std::vector<Request> requests;
    requests.push_back({1, std::move(operation)});
    spool_->submit(std::move(requests), answers_);
    return answers_.wait_for(1);
  }

  Answer deliver(const QueueId& id) {
    Settle settle;
    settle.id = id;
    settle.at = now_;
    RecipientOutcome outcome;
    outcome.disposition.outcome = Outcome::delivered;
    settle.outcomes.push_back(outcome);
    return commit(settle);
  }

  bool has_history(const QueueId& id) {
    return wait_for_read<std::vector<HistoryEntry>>([&](auto done) { spool_->history(id, done); })
        .has_value();
  }

  Time now_{1'772'000'000s};
  SeededRandom random_{7};
  IdSource ids_{random_};
  AnswerBook answers_;
  std::unique_ptr<Spool> spool_;
};

TEST_F(MemorySpoolTest, ContentOverTheBoundIsAnsweredFullAndSettlingGoesOn) {
  open({.octets_max = 250});
  const Admit first = make_admit();
  EXPECT_EQ(commit(first).status, Status::committed);
  EXPECT_EQ(commit(make_admit(151)).status, Status::full);
  EXPECT_EQ(commit(make_admit(150)).status, Status::committed);
  EXPECT_EQ(spool_->health(), Health::reserve);
  auto writer = spool_->open_content(ids_.next(now_));
  EXPECT_FALSE(wait_for_read<void>([&](auto done) { writer->append("x", done); }).has_value());
  Settle failing;
  failing.id = first.message.id;
  failing.at = now_;
  failing.outcomes.resize(1);
  failing.outcomes[0].disposition.outcome = Outcome::failed;
  failing.notices.push_back(make_admit());
  EXPECT_EQ(commit(failing).status, Status::committed);
  EXPECT_EQ(deliver(failing.notices[0].message.id).status, Status::committed);
  EXPECT_EQ(spool_->health(), Health::ok);
  EXPECT_TRUE(wait_for_read<void>([&](auto done) { writer->append("x", done); }).has_value());
}

TEST_F(MemorySpoolTest, HistoryGoesWhenItsTimeIsOver) {
  open({.history_keep = 24h});
  const Admit queued = make_admit();
  const Admit finished = make_admit();
  commit(queued);
  commit(finished);
  deliver(finished.message.id);
  now_ += 24h;
  EXPECT_TRUE(has_history(finished.message.id));
  EXPECT_EQ(commit(finished).status, Status::refused);  // the id was used
  now_ += 1s;
  EXPECT_FALSE(has_history(finished.message.id));
  EXPECT_TRUE(has_history(queued.message.id));
}

TEST_F(MemorySpoolTest, AReaderThatIsTooLateIsToldHowManyEventsItLost) {
  open({.events_max = 10});
  for (int i = 0; i < 25; ++i) commit(make_admit());
  const auto events = [&](std::uint64_t seq, std::size_t limit) {
    return *wait_for_read<EventPage>([&](auto done) { spool_->events_since(seq, limit, done); });
  };
  EventPage page = events(6, 4);
  EXPECT_EQ(page.lost, 10u);
  ASSERT_EQ(page.events.size(), 4u);
  EXPECT_EQ(page.events[0].entry.seq, 16u);
  page = events(page.next_seq, 100);
  EXPECT_EQ(page.lost, 0u);
  EXPECT_EQ(page.events.size(), 6u);
  EXPECT_EQ(page.next_seq, 26u);
  EXPECT_TRUE(events(26, 5).events.empty());
  EXPECT_EQ(events(26, 5).next_seq, 26u);
}

TEST_F(MemorySpoolTest, ASinkMaySubmitAndReadWhileItIsCalled) {
  open({});

  class Sink final : public CompletionSink {
   public:
    void completed(std::vector<Answer>) override {
      if (left-- > 0) again();
    }

    int left = 3;
    std::function<void()> again;
  };

  Sink sink;
  sink.again = [&] {
    std::vector<Request> requests;
    requests.push_back({1, make_admit()});
    spool_->submit(std::move(requests), sink);
    spool_->lanes("", 10, [&](Result<LanePage> page) {
      EXPECT_FALSE(page->lanes.empty());
      spool_->totals();
    });
  };
  sink.again();
  EXPECT_EQ(spool_->totals().at(0).totals.messages, 4u);
}

TEST_F(MemorySpoolTest, AStoppedSpoolAnswersUnknown) {
  open({});
  spool_->stop();
  EXPECT_EQ(commit(make_admit()).status, Status::unknown);
}

// Meant for the thread sanitizer: readers keep messages while a writer changes them.
TEST_F(MemorySpoolTest, ReadersAndWritersRunSideBySide) {
  open({});
  std::vector<QueueId> ids;
  for (int i = 0; i < 20; ++i) {
    const Admit given = make_admit();
    commit(given);
    ids.push_back(given.message.id);
  }
  std::atomic<bool> finished = false;
  std::thread reader([&] {
    std::uint64_t seen = 0;
    while (!finished) {
      spool_->get(ids, [&](Result<std::vector<StoredMessagePtr>> found) {
        for (const auto& message : *found) seen += message->recipients[0].tries;
      });
    }
    EXPECT_GE(seen, 0u);
  });
  for (int round = 0; round < 50; ++round) {
    for (const QueueId& id : ids) {
      Settle settle;
      settle.id = id;
      settle.at = now_;
      settle.outcomes.resize(1);
      EXPECT_EQ(commit(settle).status, Status::committed);
    }
  }
  finished = true;
  reader.join();
  for (const QueueId& id : ids) EXPECT_EQ(deliver(id).recipients_left, 0u);
}

}  // namespace
}  // namespace mansio::spool
