// Random operations against a simple model of the contract. The model keeps one record per
// recipient and knows neither lanes nor pages; after every stretch of operations, and after clean
// restarts and crashes, spool and model must say the same. A failure names its seed.
#include "spool/contract_fixture.h"

namespace mansio::spool {
namespace {

using namespace std::chrono_literals;

struct ModelRecipient {
  RecipientState state = RecipientState::queued;
  Time due{};
  std::uint32_t tries = 0;
  std::uint32_t retries = 0;
  std::uint32_t delay_notices = 0;
};

struct ModelMessage {
  std::string tenant;
  std::string octets;
  std::vector<ModelRecipient> recipients;
  std::size_t events = 1;

  std::uint32_t left() const {
    return static_cast<std::uint32_t>(
        std::count_if(recipients.begin(), recipients.end(),
                      [](const auto& recipient) { return !is_final(recipient.state); }));
  }
};

class SpoolProperty : public SpoolContract {
 protected:
  void run(std::uint64_t run_seed, int operations) {
    SCOPED_TRACE(testing::Message() << "seed " << run_seed);
    random_ = std::make_unique<SeededRandom>(run_seed);
    for (int i = 1; i <= operations && !HasFailure(); ++i) {
      step();
      if (i % 40 == 0) compare();
      if (i % 100 == 0) {
        random_->below(2) == 0 ? close_cleanly() : crash();
        open();
        compare();
      }
    }
  }

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_->below(bound); }

  /// A message of the model, also one that is finished; nullptr if there is none.
  std::pair<const QueueId, ModelMessage>* pick_message() {
    if (model_.empty()) return nullptr;
    auto entry = model_.begin();
    std::advance(entry, static_cast<std::ptrdiff_t>(pick(model_.size())));
    return &*entry;
  }

  void step() {
    advance(std::chrono::milliseconds(pick(5000)));
    const std::uint64_t kind = pick(10);
    auto* message = pick_message();
    if (kind < 3 || message == nullptr) {
      step_admit();
    } else if (kind < 7) {
      step_settle(message->first, message->second);
    } else {
      step_change(message->first, message->second);
    }
  }

  void step_admit() {
    std::vector<std::string> recipients;
    for (std::uint64_t i = 0; i <= pick(4); ++i) {
      recipients.push_back("user" + std::to_string(i) + "@d" + std::to_string(pick(3)) +
                           ".example");
    }
    Admit given = make_admit(recipients, "body " + std::to_string(pick(1'000'000)));
    given.message.tenant = pick(3) == 0 ? "acme" : "default";
    given.message.klass = static_cast<PriorityClass>(pick(4));
    ModelMessage expected{given.message.tenant, *given.message.content.octets, {}, 1};
    for (Time& due : given.due) {
      due = now() + std::chrono::seconds(pick(100));
      expected.recipients.push_back({RecipientState::queued, due, 0, 0, 0});
    }
    const Answer answer = commit(given);
    EXPECT_EQ(answer.status, Status::committed) << answer.detail;
    EXPECT_EQ(answer.changed, recipients.size());
    model_.emplace(given.message.id, std::move(expected));
  }

  void step_settle(const QueueId& id, ModelMessage& expected) {
    const bool existed = expected.left() > 0;
    std::vector<RecipientOutcome> outcomes;
    std::uint32_t applied = 0;
    for (std::uint32_t i = 0; i < expected.recipients.size(); ++i) {
      if (pick(2) == 0) continue;
      RecipientOutcome one =
          outcome(i, static_cast<Outcome>(pick(4)), now() + std::chrono::seconds(pick(1000)));
      one.disposition.counts_as_try = pick(4) != 0;
      outcomes.push_back(one);
      ModelRecipient& recipient = expected.recipients[i];
      if (is_final(recipient.state)) continue;
      ++applied;
      ++expected.events;
      if (one.disposition.counts_as_try) ++recipient.tries;
      switch (one.disposition.outcome) {
        case Outcome::delivered:
          recipient.state = RecipientState::delivered;
          break;
        case Outcome::failed:
          recipient.state = RecipientState::failed;
          break;
        case Outcome::expired:
          recipient.state = RecipientState::expired;
          break;
        case Outcome::deferred:
          ++recipient.retries;
          recipient.due = one.next_due;
          if (recipient.state == RecipientState::in_doubt) recipient.state = RecipientState::queued;
          break;
      }
    }
    const Answer answer = settle(id, outcomes);
    EXPECT_EQ(answer.status, !existed       ? Status::missing
                             : applied == 0 ? Status::refused
                                            : Status::committed);
    EXPECT_EQ(answer.changed, applied);
    EXPECT_EQ(answer.recipients_left, expected.left());
  }

  /// The state that the verb leads to from `state`; the same state: it does not apply.
  static RecipientState after(Verb verb, RecipientState state) {
    using enum RecipientState;
    if (is_final(state)) return state;
    switch (verb) {
      case Verb::make_due:
        return state;  // told apart by the caller
      case Verb::hold:
        return state == queued || state == in_doubt ? held : state;
      case Verb::release:
        return queued;
      case Verb::fail:
        return failed;
      case Verb::remove:
        return removed;
      case Verb::expire:
        return expired;
      case Verb::move:
        return moved;
      case Verb::mark_in_doubt:
        return state == queued ? in_doubt : state;
      case Verb::quarantine:
        return RecipientState::quarantined;
      case Verb::report_delay:
        return state;  // told apart by the caller
    }
    return state;
  }

  void step_change(const QueueId& id, ModelMessage& expected) {
    const bool existed = expected.left() > 0;
    // The gentle verbs more often, so that messages live for a while.
    const std::uint64_t number = pick(15);
    const Verb verb = static_cast<Verb>(number > 9 ? number % 3 : number);
    Change change = make_change(id, verb);
    change.due = now() + std::chrono::seconds(pick(200));
    if (pick(2) == 0) {
      change.recipients.push_back(static_cast<std::uint32_t>(pick(expected.recipients.size())));
    }
    std::uint32_t applied = 0;
    for (std::uint32_t i = 0; i < expected.recipients.size(); ++i) {
      if (!change.recipients.empty() && change.recipients[0] != i) continue;
      ModelRecipient& recipient = expected.recipients[i];
      const RecipientState next = after(verb, recipient.state);
      const bool made_due = verb == Verb::make_due && recipient.state == RecipientState::queued;
      const bool told = verb == Verb::report_delay && !is_final(recipient.state);
      if (next == recipient.state && !made_due && !told) continue;
      if (told) ++recipient.delay_notices;
      recipient.state = next;
      if (made_due || verb == Verb::release) recipient.due = change.due;
      ++applied;
      ++expected.events;
    }
    const Answer answer = commit(change);
    EXPECT_EQ(answer.status, existed ? Status::committed : Status::missing) << answer.detail;
    EXPECT_EQ(answer.changed, applied) << to_text(verb);
    EXPECT_EQ(answer.recipients_left, expected.left());
  }

  void compare() {
    std::map<std::string, Totals> sums;
    std::map<std::pair<QueueId, std::uint32_t>, Time> due;
    std::size_t events = 0;
    for (const auto& [id, expected] : model_) {
      add(sums[expected.tenant], expected);
      events += expected.events;
      for (std::uint32_t i = 0; i < expected.recipients.size(); ++i) {
        const ModelRecipient& recipient = expected.recipients[i];
        if (recipient.state == RecipientState::queued) due[{id, i}] = recipient.due;
      }
      compare_message(id, expected);
    }
    for (const auto& [tenant, expected] : sums) EXPECT_EQ(totals(tenant), expected) << tenant;
    EXPECT_EQ(all_due(), due);
    EXPECT_EQ(all_events().size(), events);
    std::uint64_t queued = 0;
    for (const LaneSummary& lane : lanes(2)) queued += lane.queued;
    EXPECT_EQ(queued, totals("default").queued + totals("acme").queued);
  }

  static void add(Totals& sums, const ModelMessage& message) {
    for (const ModelRecipient& recipient : message.recipients) {
      ++sums.accepted;
      if (!is_final(recipient.state)) ++sums.queued;
      switch (recipient.state) {
        case RecipientState::queued:
          break;
        case RecipientState::held:
          ++sums.held;
          break;
        case RecipientState::in_doubt:
          ++sums.in_doubt;
          break;
        case RecipientState::quarantined:
          ++sums.quarantined;
          break;
        case RecipientState::delivered:
          ++sums.delivered;
          break;
        case RecipientState::failed:
          ++sums.failed;
          break;
        case RecipientState::expired:
          ++sums.expired;
          break;
        case RecipientState::removed:
          ++sums.removed;
          break;
        case RecipientState::moved:
          ++sums.moved;
          break;
      }
    }
    if (message.left() == 0) return;
    ++sums.messages;
    sums.octets += message.octets.size();
  }

  void compare_message(const QueueId& id, const ModelMessage& expected) {
    const StoredMessagePtr stored = get(id);
    EXPECT_EQ(history(id)->size(), expected.events);
    if (expected.left() == 0) {
      EXPECT_EQ(stored, nullptr);
      return;
    }
    ASSERT_NE(stored, nullptr);
    ASSERT_EQ(stored->recipients.size(), expected.recipients.size());
    for (std::size_t i = 0; i < expected.recipients.size(); ++i) {
      EXPECT_EQ(stored->recipients[i].state, expected.recipients[i].state);
      EXPECT_EQ(stored->recipients[i].due, expected.recipients[i].due);
      EXPECT_EQ(stored->recipients[i].tries, expected.recipients[i].tries);
      EXPECT_EQ(stored->recipients[i].retry_count, expected.recipients[i].retries);
      EXPECT_EQ(stored->recipients[i].delay_notices, expected.recipients[i].delay_notices);
    }
    EXPECT_EQ(content(id).value(), expected.octets);
  }

  std::unique_ptr<SeededRandom> random_;
  std::map<QueueId, ModelMessage> model_;
};

TEST_P(SpoolProperty, RandomOperationsAgreeWithTheModelFirstSeed) { run(1, 600); }

TEST_P(SpoolProperty, RandomOperationsAgreeWithTheModelSecondSeed) { run(20260302, 600); }

TEST_P(SpoolProperty, RandomOperationsAgreeWithTheModelThirdSeed) { run(987654321, 600); }

INSTANTIATE_TEST_SUITE_P(Backends, SpoolProperty, testing::ValuesIn(contract_backends()),
                         backend_name);

}  // namespace
}  // namespace mansio::spool
